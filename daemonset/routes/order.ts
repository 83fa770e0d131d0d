import type { LogLine } from "../thread-log.ts";
import type { RailPeer, RailPeerSpec } from "./object.ts";
import type { PeerChoice, Peers } from "./peers.ts";
import type { RailReach } from "./rail-reach.ts";
import type { WayState } from "./way.ts";

/** What the thread of the routes is to do; without rails there are to be no routes. */
export interface RoutesOrder {
  /** Name of this node in the cluster. */
  readonly node: string;
  /** This Node's InternalIP. */
  readonly primary: string;
  readonly rails: readonly { readonly name: string; readonly netdev: string }[];
  /** Networks of this node's pods that others may reach by rails. */
  readonly podCIDRs?: readonly string[];
  readonly peers: readonly RailPeer[];
  readonly choice: PeerChoice;
}

/** To the thread. */
export type RoutesJob =
  | { readonly do: "start"; readonly stateDir: string; readonly sysfs: string; readonly bootId: string }
  /** From now on; undefined: routes, neighbours and settings go back to what they were. */
  | { readonly do: "follow"; readonly order: RoutesOrder | undefined }
  | { readonly do: "report"; readonly id: number };

/** From the thread. */
export type RoutesNews =
  /** What the node is to publish; undefined: nothing, it takes no part. Its settings are in place by then. */
  | { readonly news: "identity"; readonly identity: RailPeerSpec | undefined }
  /** How many nodes each rail reaches; when that changes. */
  | { readonly news: "reach"; readonly rails: readonly RailReach[] }
  | { readonly news: "log"; readonly line: LogLine }
  | { readonly news: "report"; readonly id: number; readonly report: RoutesReport };

/** How a way is. Times in ms. */
export interface WayReport {
  readonly rail: string;
  readonly state: WayState;
  /** Whether the peer takes in what comes by it for its primary address. */
  readonly isAdmitted: boolean;
  /** How long it has been used, or not. */
  readonly forMs: number;
  readonly losses: number;
}

/** How a node's traffic to one peer goes. */
export interface PeerReport {
  readonly node: string;
  readonly primary: string;
  readonly ways: readonly WayReport[];
  /** A route of somebody else's, which is left alone: its protocol as of ip-route(8). */
  readonly foreign?: number;
}

/** What the thread of the routes knows. */
export interface RoutesReport {
  /** Why there are no routes over rails; empty where there are. */
  readonly off: string;
  readonly peers: readonly PeerReport[];
  readonly refused: Peers["refused"];
  /** Questions to neighbours, and answers in time, since the agent started. */
  readonly questions: number;
  readonly answers: number;
  /** Routes that were written or deleted. */
  readonly changes: number;
}
