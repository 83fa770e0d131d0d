import type { Json } from "../../../../lab/cluster/raw.ts";

/** One call of a runtime, and what comes of it. */
export interface Step {
  readonly verb: "ADD" | "DEL" | "CHECK";
  readonly pod: string;
  /** Container ID. */
  readonly id: string;
  readonly ifname?: string;
  readonly args?: readonly string[];
  /** Instead of the scenario's. */
  readonly ipam?: Json;
  /** The whole result; a list: its addresses; an Error: the message of the CNI error, or its beginning with `…` behind it. */
  readonly want?: Json | readonly string[] | Error;
}

type More = Partial<Pick<Step, "id" | "ifname" | "args" | "ipam">>;

/** Container ID of the pod `p1`: `c1`, unless said otherwise. */
const idOf = (pod: string): string => pod.replace(/^p(?=\d)/, "c");

export const add = (pod: string, want: string | Step["want"], more: More = {}): Step => ({
  verb: "ADD",
  pod,
  id: idOf(pod),
  want: typeof want === "string" ? [want] : want,
  ...more,
});

/** A DEL succeeds, whatever it finds. */
export const del = (pod: string, more: More = {}): Step => ({ verb: "DEL", pod, id: idOf(pod), ...more });

/** Objects of Whereabouts, short. */
export interface Objects {
  /** By name: the range, and by key `id podref ifname`. */
  readonly pools: Readonly<Record<string, PoolShown>>;
  /** By name: `podref ifname`. */
  readonly reservations: Readonly<Record<string, string>>;
}
export type PoolShown = readonly [range: string, records: Readonly<Record<string, string>>];

/** A row: calls on a cluster, the same for every plugin. */
export interface Scenario {
  /** Number of the case or golden example, and what it is about. */
  readonly name: string;
  readonly version?: string;
  readonly ipam: Json;
  /** What is there before. */
  readonly seed?: Partial<Objects>;
  /** Specs and statuses of NodeSlicePools that are there before, by name. */
  readonly slices?: Readonly<Record<string, Json>>;
  readonly steps: readonly Step[];
  /** What is there after the last step. Default: nothing. */
  readonly after?: Partial<Objects>;
  /**
   * Of the agent, where it differs: it makes reservations of records that have none, as long as a pool is not adopted,
   * and leaves keys alone that are nobody's.
   */
  readonly afterAgent?: Partial<Objects>;
  /** Beginning of the row of ipam/whereabouts/README.md, table "Fixed", that says why Whereabouts differs. */
  readonly fix?: string;
  /** What of Whereabouts differs: the answer of a step (its index), or what is there at the end. */
  readonly theirs?: { readonly answers?: Readonly<Record<number, Step["want"]>>; readonly after?: Partial<Objects> };
  /** Why Whereabouts cannot run this row. */
  readonly notTheirs?: string;
}
