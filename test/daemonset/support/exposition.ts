/** A series of a scrape, by its name and sorted labels: `railnet_vfs{pf="a",state="free"}`. */
export type Scrape = ReadonlyMap<string, number>;

const LINE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(,|$)/y;

/** Reads Prometheus' text format, version 0.0.4, strictly. @throws {Error} with the line that is none, or a series that comes twice. */
export function readExposition(text: string): Scrape {
  if (!text.endsWith("\n")) throw new Error("the last line has no end");
  const types = new Map<string, string>();
  const series = new Map<string, number>();
  for (const line of text.split("\n").filter(Boolean)) {
    const [, comment, family, rest] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (comment === "TYPE") define(types, family!, rest!);
    if (comment) continue;
    const [, name, labels = "", value] = LINE.exec(line) ?? fail(line);
    if (!types.has(name!) && !types.has(name!.replace(/_(bucket|sum|count)$/, ""))) fail(`no TYPE before ${line}`);
    const key = keyOf(name!, readLabels(labels));
    if (series.has(key)) fail(`twice: ${line}`);
    series.set(key, value === "+Inf" ? Number.POSITIVE_INFINITY : Number(value));
    if (Number.isNaN(series.get(key))) fail(line);
  }
  return series;
}

function define(types: Map<string, string>, family: string, type: string): void {
  if (types.has(family) || !/^(counter|gauge|histogram)$/.test(type)) fail(`TYPE ${family} ${type}`);
  types.set(family, type);
}

function readLabels(text: string): [string, string][] {
  const labels: [string, string][] = [];
  for (LABEL.lastIndex = 0; LABEL.lastIndex < text.length; ) {
    const [, name, value] = LABEL.exec(text) ?? fail(text);
    labels.push([name!, value!]);
  }
  return labels;
}

/** The key of a series in a scrape. */
export const keyOf = (name: string, labels: Iterable<readonly [string, string]>): string => {
  const sorted = [...labels].sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${k}="${v}"`);
  return sorted.length > 0 ? `${name}{${sorted.join(",")}}` : name;
};

function fail(what: string): never {
  throw new Error(`not of Prometheus' text format: ${what}`);
}
