/** One line of a scrape. */
export interface Sample {
  readonly labels?: Readonly<Record<string, string | number>>;
  readonly value: number;
  /** Where it is not the family's: `…_bucket`, `…_sum`, `…_count`. */
  readonly metricName?: string;
}

/** A metric with all its series, as prom-client's registry reads it. */
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

/** Prometheus' text format, version 0.0.4. The library loads with the first scrape. */
export async function renderFamilies(families: readonly Family[]): Promise<string> {
  const { Registry } = await import("prom-client");
  const registry = new Registry();
  // Its own Counter and Histogram count for themselves; the registry takes whatever answers get().
  for (const family of families) registry.registerMetric({ name: family.name, get: async () => family } as never);
  return registry.metrics();
}
