import { dump } from "js-yaml";

/** What a value of the chart may be: as much of JSON Schema as values.schema.json uses for the tree of values. */
export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly description?: string;
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
}

/** A value with its default. Without one it is Helm's own (`global`) and left out. */
export interface Value {
  /** `image.tag` */
  readonly path: string;
  readonly type: string;
  readonly default: unknown;
  readonly description: string;
}

const isBranch = ({ properties }: Schema): boolean => properties !== undefined;

/** All values, in the order of the schema. Pure. */
export function valuesOf({ properties = {} }: Schema, before = ""): Value[] {
  return Object.entries(properties).flatMap(([key, schema]): Value[] => {
    const path = `${before}${key}`;
    if (isBranch(schema)) return valuesOf(schema, `${path}.`);
    if (schema.default === undefined) return [];
    return [{ path, type: typeOf(schema), default: schema.default, description: schema.description ?? "" }];
  });
}

const typeOf = ({ type, enum: words }: Schema): string =>
  words ? words.map((word) => `\`${word || '""'}\``).join(", ") : (type ?? "");

/** values.yaml: every default under what it is for. Pure. */
export function valuesFile({ properties = {} }: Schema, column = 0): string {
  const at = " ".repeat(column);
  return Object.entries(properties)
    .map(([key, schema]) => {
      if (isBranch(schema)) return `${at}${key}:\n${valuesFile(schema, column + 2)}`;
      if (schema.default === undefined) return "";
      return `${at}# ${schema.description}.\n${indented(dump({ [key]: schema.default }, { lineWidth: -1 }), at)}`;
    })
    .join("");
}

const indented = (text: string, at: string): string => text.replace(/^(?=.)/gm, at);

/** Rows of the table in README.md. Pure. */
export const valuesTable = (schema: Schema): string =>
  valuesOf(schema)
    .map(
      ({ path, type, default: value, description }) =>
        `| \`${path}\` | ${type} | ${description.replaceAll("|", "\\|")} | \`${JSON.stringify(value)}\` |\n`,
    )
    .join("");
