/** What the background work has done so far; the source of the agent's metrics. */
export interface Counters {
  /** Addresses of pods that are gone. */
  freed: number;
  /** Reservations of running pods that had been deleted, and were restored. */
  putBack: number;
  /** Addresses that a running pod uses and another has reserved. */
  duplicates: number;
  /** Pools whose records all have reservations now. */
  adopted: number;
  /** Patches of the pools' view, and those that the server refused because of another writer. */
  viewPatches: number;
  viewRefusals: number;
  /** VFs that this agent has taken down because nobody heard from its node. */
  fences: number;
  /** Those that are down now. */
  fenced: number;
  /** How often this node has become the leader. */
  terms: number;
  /** Nodes with rails in the leader's last comparison, and how many of them differ; 0 where another node leads. */
  nodesCompared: number;
  nodesOdd: number;
  /** How long the oldest change has been waiting to appear in its pool; 0 where another node leads. */
  viewLagMs: () => number;
}

export const noCounts = (): Counters => ({
  freed: 0,
  putBack: 0,
  duplicates: 0,
  adopted: 0,
  viewPatches: 0,
  viewRefusals: 0,
  fences: 0,
  fenced: 0,
  terms: 0,
  nodesCompared: 0,
  nodesOdd: 0,
  viewLagMs: () => 0,
});
