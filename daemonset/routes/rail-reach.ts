/** How many of the nodes that have a rail are reached by it. */
export interface RailReach {
  readonly rail: string;
  readonly reached: number;
  /** At least one. */
  readonly nodes: number;
}

/** A rail that reached most nodes and does so no more, or the other way round. */
export interface RailChange extends RailReach {
  readonly isLost: boolean;
}

interface Known {
  readonly reach: RailReach;
  /** What was told of it last; undefined: nothing yet. */
  readonly isLost: boolean | undefined;
  /** Since when it is otherwise. */
  readonly sinceMs: number;
}

/** What lasts less is no news: an agent that starts, a switch that is restarted. */
const SETTLED_MS = 10_000;

/**
 * Tells a rail from a node: one that reaches less than half of the nodes that have it is lost, whatever is wrong: this node's
 * cable, its port or the rail's switch. One peer that is gone is none of it. Pure but for its state.
 */
export class RailWatch {
  readonly #known = new Map<string, Known>();

  /** Of all rails. */
  heard(reaches: readonly RailReach[], nowMs: number): void {
    const here = new Set(reaches.map(({ rail }) => rail));
    for (const rail of this.#known.keys()) if (!here.has(rail)) this.#known.delete(rail);
    for (const reach of reaches) {
      const { isLost, sinceMs = nowMs, reach: before = undefined } = this.#known.get(reach.rail) ?? {};
      const isSame = before !== undefined && lost(before) === lost(reach);
      this.#known.set(reach.rail, { reach, isLost, sinceMs: isSame ? sinceMs : nowMs });
    }
  }

  /** What is to be told now. A rail of which nothing was told yet is told of only when it is lost. */
  changes(nowMs: number): RailChange[] {
    return [...this.#known.values()].flatMap(({ reach, isLost, sinceMs }) => {
      if (lost(reach) === isLost || nowMs - sinceMs < SETTLED_MS) return [];
      this.#known.set(reach.rail, { reach, isLost: lost(reach), sinceMs });
      return isLost === undefined && !lost(reach) ? [] : [{ ...reach, isLost: lost(reach) }];
    });
  }

  /** Whether most nodes are reached by a rail; undefined as long as that is not settled. */
  isReaching(rail: string): boolean | undefined {
    const { isLost } = this.#known.get(rail) ?? {};
    return isLost === undefined ? undefined : !isLost;
  }
}

const lost = ({ reached, nodes }: RailReach): boolean => reached * 2 < nodes;
