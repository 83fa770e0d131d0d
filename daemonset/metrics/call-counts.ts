import { reasonOf } from "../calls/failures.ts";
import type { Family } from "./family.ts";
import { Histogram } from "./histogram.ts";

const CALLS = "railnet_cni_requests_total";
const SECONDS = "railnet_cni_request_duration_seconds";

/** CNI calls that the agent answered. The hot path only adds to numbers; names and texts are created by a scrape. */
export class CallCounts {
  /** By `plugin verb`, then by code. */
  readonly #calls = new Map<string, { readonly codes: Map<number, number>; readonly seconds: Histogram }>();
  #running = 0;

  begin(): void {
    this.#running++;
  }

  /** Call once for each begin(). */
  end(plugin: string, verb: string, code: number, seconds: number): void {
    this.#running--;
    const key = `${plugin} ${verb}`;
    const calls = this.#calls.get(key) ?? { codes: new Map<number, number>(), seconds: new Histogram() };
    if (calls.codes.size === 0) this.#calls.set(key, calls);
    calls.codes.set(code, (calls.codes.get(code) ?? 0) + 1);
    calls.seconds.add(seconds);
  }

  families(): Family[] {
    const all = [...this.#calls].map(([key, calls]) => {
      const [plugin = "", verb = ""] = key.split(" ");
      return { labels: { plugin, verb }, ...calls };
    });
    return [
      {
        name: CALLS,
        help: "CNI calls answered, by plugin, verb, CNI error code (0 is success) and its short name",
        type: "counter",
        values: all.flatMap(({ labels, codes }) =>
          [...codes].map(([code, value]) => ({ labels: { ...labels, code, reason: reasonOf(code) }, value })),
        ),
      },
      {
        name: SECONDS,
        help: "How long they took, from the whole request to its answer, in the agent",
        type: "histogram",
        values: all.flatMap(({ labels, seconds }) => seconds.samples(SECONDS, labels)),
      },
      {
        name: "railnet_cni_requests_running",
        help: "CNI calls in progress",
        type: "gauge",
        values: [{ value: this.#running }],
      },
    ];
  }
}
