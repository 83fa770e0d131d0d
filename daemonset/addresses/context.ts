import type { Log } from "../../cni/host.ts";
import type { Mode } from "../../ipam/mode.ts";
import type { Store } from "../../ipam/store/store.ts";
import type { Cluster } from "../../kubernetes/cluster.ts";
import type { AddressEvents } from "./address-events.ts";
import type { Counters } from "./counters.ts";
import type { Events } from "./events.ts";
import type { FollowContext } from "./follow.ts";

/** What is needed to write addresses: where they are stored, in which mode, and who is told. */
export interface ClusterAddresses {
  readonly cluster: Cluster;
  /** Of the same cluster. */
  readonly store: Store;
  readonly mode: () => Mode;
  readonly told: Pick<AddressEvents, "freed" | "putBack" | "recordPutBack" | "duplicate">;
}

/** Everything that the work for a cluster consists of. Each part takes only what it uses. */
export interface Context extends ClusterAddresses, FollowContext {
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: Log;
  readonly events: Pick<Events, "onPool" | "onSettings" | "onRailNetwork">;
  readonly counters: Counters;
}
