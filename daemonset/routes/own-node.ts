import type { RailPeerSpec } from "./object.ts";

/** This node, as its kernel has it. */
export interface OwnNode {
  /** Name in the cluster. */
  readonly node: string;
  readonly identity: RailPeerSpec;
  /** What no peer can have: this node's own addresses and its gateways. */
  readonly reserved: readonly string[];
}
