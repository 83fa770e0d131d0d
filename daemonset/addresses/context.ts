import type { Log } from "../../cni/host.ts";
import type { Mode } from "../../ipam/mode.ts";
import type { Store } from "../../ipam/store/store.ts";
import type { Cluster } from "../../kubernetes/cluster.ts";
import type { Counters } from "./counters.ts";
import type { Disputes } from "./disputes.ts";
import type { Events } from "./events.ts";
import type { Fleet } from "./fleet.ts";
import type { FreedHistory } from "./freed.ts";
import type { Refusals } from "./refusals.ts";

/** What all background work shares. */
export interface Context {
  readonly cluster: Cluster;
  /** Of the same cluster. */
  readonly store: Store;
  readonly mode: () => Mode;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: Log;
  readonly events: Events;
  readonly disputes: Disputes;
  readonly counters: Counters;
  readonly freed: FreedHistory;
  readonly refusals?: Refusals;
  /** Default: a small one. */
  readonly fleet?: Fleet;
}
