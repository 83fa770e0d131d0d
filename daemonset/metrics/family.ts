/** One line of a scrape. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** If it differs from the family's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
}

/** A metric with all its series. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly values: readonly Sample[];
}

/** A metric with one series. */
export const single = (type: "counter" | "gauge", name: string, help: string, value: number): Family => ({
  name,
  help,
  type,
  values: [{ value }],
});

/** Prometheus' text format, version 0.0.4 (exposition_formats in its documentation). */
export function renderFamilies(families: readonly Family[]): string {
  const blocks = families.map(({ name, help, type, values }) => {
    const lines = values.map(
      ({ metricName = name, labels = {}, value }) => `${metricName}${labelSet(labels)} ${valueText(value)}`,
    );
    return [`# HELP ${name} ${escaped(help)}`, `# TYPE ${name} ${type}`, ...lines].join("\n");
  });
  return `${blocks.join("\n\n")}\n`;
}

function labelSet(labels: NonNullable<Sample["labels"]>): string {
  const all = Object.entries(labels).map(
    ([name, value]) => `${name}="${escaped(String(value)).replaceAll('"', '\\"')}"`,
  );
  return all.length > 0 ? `{${all.join(",")}}` : "";
}

const escaped = (text: string): string => text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");

/** As Go's strconv.ParseFloat reads it. */
const valueText = (value: number): string => {
  if (Number.isFinite(value) || Number.isNaN(value)) return String(value);
  return value < 0 ? "-Inf" : "+Inf";
};
