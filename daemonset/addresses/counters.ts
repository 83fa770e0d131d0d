/** What the background work did so far; the agent's metrics are read from it. */
export interface Counters {
  /** Addresses of pods that are gone. */
  freed: number;
  /** Reservations of running pods that had been deleted, and were restored. */
  putBack: number;
  /** Addresses that a living pod uses and another has reserved. */
  duplicates: number;
  /** Pools whose records all have reservations now. */
  adopted: number;
  /** Patches of the pools' view, and those that the server refused because somebody else had written. */
  viewPatches: number;
  viewRefusals: number;
  /** VFs that this agent has taken down since nobody heard of its node. */
  fences: number;
  /** Those that are down now. */
  fenced: number;
  /** Times this node became the leader. */
  terms: number;
  /** Nodes with rails that the leader compared last, and those of them that are not like the others; 0 where another node leads. */
  nodesCompared: number;
  nodesOdd: number;
  /** How long the oldest change has waited for its pool to show it; 0 where another node leads. */
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
