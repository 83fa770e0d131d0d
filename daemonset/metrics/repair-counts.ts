import type { Repair } from "../reconcile/plan.ts";
import type { Family } from "./family.ts";

const RESULTS = {
  detach: "ended",
  reattach: "reattached",
  retell: "told",
  report: "reported",
} as const satisfies Record<Repair["kind"], string>;

/** The reconciler's actions on attachments. */
export class RepairCounts {
  readonly #counts = new Map<string, number>();
  #runs = 0;

  add(repairs: readonly Repair[]): void {
    this.#runs++;
    for (const { kind, reason, error } of repairs) {
      const key = `${reason} ${error ? "failed" : RESULTS[kind]}`;
      this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    }
  }

  families(): Family[] {
    return [
      {
        name: "railnet_reconciler_repairs_total",
        help: "Attachments that the reconciler ended, gave their VF back (reattached), could not repair (failed), or can only report, by reason, at each run",
        type: "counter",
        values: [...this.#counts].map(([key, value]) => {
          const [reason = "", result = ""] = key.split(" ");
          return { labels: { reason, result }, value };
        }),
      },
      {
        name: "railnet_reconciler_runs_total",
        help: "Runs of the reconciler over all attachments",
        type: "counter",
        values: [{ value: this.#runs }],
      },
    ];
  }
}
