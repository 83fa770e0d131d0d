import { readFileSync } from "node:fs";

interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: boolean | Schema;
  readonly items?: Schema;
  readonly maxItems?: number;
  readonly exclusiveMinimum?: number;
}

const SCHEMA = JSON.parse(readFileSync(new URL("../../../../docs/bench-rdma.schema.json", import.meta.url), "utf8"));

/** Where a value is not what docs/bench-rdma.schema.json says; of JSON Schema just the keywords that stand there. */
export function unlikeSchema(value: unknown, schema: Schema = SCHEMA, at = ""): string[] {
  const is = (type: string) => typeOf(value) === type || (type === "number" && typeOf(value) === "integer");
  const types = [schema.type ?? []].flat();
  const bad = [
    types.length > 0 && !types.some(is) && `is no ${types}`,
    schema.const !== undefined && value !== schema.const && `is not ${schema.const}`,
    schema.enum && !schema.enum.includes(value) && `is none of ${schema.enum}`,
    schema.exclusiveMinimum !== undefined && !((value as number) > schema.exclusiveMinimum) && "is too small",
  ].filter((one) => typeof one === "string");
  if (Array.isArray(value)) return [...bad.map((one) => `${at} ${one}`), ...value.flatMap((one, i) => unlikeSchema(one, schema.items, `${at}/${i}`))]; // biome-ignore format: one row
  if (typeOf(value) !== "object") return bad.map((one) => `${at} ${one}`);
  const entries = Object.entries(value as object).filter(([, one]) => one !== undefined);
  const missing = (schema.required ?? []).filter((name) => !entries.some(([key]) => key === name));
  const inner = entries.flatMap(([key, one]) => {
    const of = schema.properties?.[key] ?? schema.additionalProperties;
    return of === false ? [`${at}/${key} is unknown`] : unlikeSchema(one, of === true ? {} : of, `${at}/${key}`);
  });
  return [...bad.map((one) => `${at} ${one}`), ...missing.map((name) => `${at} lacks ${name}`), ...inner];
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  if (value === null) return "null";
  return Number.isInteger(value) ? "integer" : typeof value;
}
