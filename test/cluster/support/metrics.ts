/** What an API server says of itself. */
export interface Metrics {
  /** Requests answered so far, by `VERB resource status`, such as `POST ippools 201`; a subresource follows a slash. */
  readonly requests: Readonly<Record<string, number>>;
  /** Processor time so far. */
  readonly cpuSeconds: number;
  readonly residentBytes: number;
}

/** From the Prometheus text of `/metrics`. */
export function readMetrics(text: string): Metrics {
  const requests: Record<string, number> = {};
  for (const [, labels, value] of text.matchAll(/^apiserver_request_total\{(.*)\} (\S+)$/gm)) {
    const of = Object.fromEntries([...labels!.matchAll(/(\w+)="([^"]*)"/g)].map(([, name, text]) => [name, text]));
    const key = `${of["verb"]} ${of["resource"]}${of["subresource"] ? `/${of["subresource"]}` : ""} ${of["code"]}`;
    requests[key] = (requests[key] ?? 0) + Number(value);
  }
  const gauge = (name: string) => Number(new RegExp(`^${name} (\\S+)$`, "m").exec(text)?.[1]);
  return {
    requests,
    cpuSeconds: gauge("process_cpu_seconds_total"),
    residentBytes: gauge("process_resident_memory_bytes"),
  };
}

/** Requests between two readings whose key matches. */
export function requestsBetween(before: Metrics, after: Metrics, which: RegExp): Record<string, number> {
  const counts = Object.entries(after.requests)
    .filter(([key]) => which.test(key))
    .map(([key, count]) => [key, count - (before.requests[key] ?? 0)] as const);
  return Object.fromEntries(counts.filter(([, count]) => count > 0));
}

export const total = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
