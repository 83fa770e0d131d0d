// What asking costs, and how soon what is silent is out, by the number of nodes: the product's own parts in virtual time. The table
// of docs/node-routes.md is what this prints.
import t from "tap";
import { Hops } from "../../../daemonset/routes/hops.ts";
import { paceOf } from "../../../daemonset/routes/pace.ts";
import { newWay } from "../../../daemonset/routes/way.ts";
import { turnOf, Witnesses } from "../../../daemonset/routes/witnesses.ts";

const RAILS = 4;
const TICK_MS = 50;
/** Both ends' kernels and the agent, as measured with 999 peers. */
const MICROSECONDS = 12.8;

/** A node and its peers: way = rail * peers + peer. */
class Network {
  readonly outMs: number[] = [];
  readonly asked: number[] = [];
  falseVerdicts = 0;
  readonly #hops: Hops;
  readonly #witnesses: Witnesses;
  readonly everyMs: number;
  nowMs = 0;

  constructor(peers: number) {
    const kin = Array.from({ length: peers * RAILS }, (_, way) => ({
      peer: way % peers,
      rail: Math.floor(way / peers),
    }));
    const pace = paceOf(kin.length);
    this.everyMs = pace.everyMs;
    this.#hops = new Hops(kin.map(() => newWay(true, 0)), pace, 0, turnOf(kin)); // biome-ignore format: one row
    this.#witnesses = new Witnesses(kin, pace.everyMs);
  }

  /** @param isSilent since a time. */
  run(untilMs: number, isSilent: (way: number) => boolean = () => false, sinceMs = 0): void {
    for (; this.nowMs < untilMs; this.nowMs += TICK_MS) {
      const { ask, verdicts } = this.#hops.tick(this.nowMs);
      this.asked.push(ask.length);
      for (const way of this.#witnesses.heed(verdicts, this.nowMs)) this.#hops.hint(way, this.nowMs);
      for (const { way, isUsed } of verdicts)
        if (!isUsed && isSilent(way)) this.outMs.push(this.nowMs - sinceMs);
        else this.falseVerdicts++;
      for (const way of ask) if (!isSilent(way)) this.#hops.answered(way);
    }
  }
}

/** How long until all of these are out, of faults at many moments of a turn; sorted. */
function outages(peers: number, isSilent: (way: number) => boolean, faults: number): number[] {
  return Array.from({ length: faults }, (_, i) => {
    const network = new Network(peers);
    const faultMs = Math.round((2 + i / faults) * network.everyMs);
    network.run(faultMs);
    network.run(faultMs + 3 * network.everyMs + 6_000, isSilent, faultMs);
    return { outMs: network.outMs, falseVerdicts: network.falseVerdicts };
  })
    .map(({ outMs, falseVerdicts }) => (falseVerdicts === 0 ? Math.max(...outMs) : Number.NaN))
    .toSorted((a, b) => a - b);
}

const inSeconds = (ms: number): string => (ms / 1000).toFixed(1);
const seconds = (sorted: readonly number[]): string =>
  [0.5, 0.95].map((share) => inSeconds(sorted[Math.floor(share * (sorted.length - 1))]!)).join(" and ");

for (const nodes of [100, 500, 1000, 5000])
  t.test(`${nodes} nodes are asked within the budget, and a cable, a node and a switch are noticed`, async (t) => {
    const peers = nodes - 1;
    const rest = new Network(peers);
    rest.run(30_000);
    const perSecond = rest.asked.slice(200).reduce((sum, n) => sum + n, 0) / 20;
    t.equal(rest.falseVerdicts, 0);
    t.ok(perSecond <= 5_000, `${perSecond} questions a second`);
    const cable = outages(peers, (way) => way === 7, 10);
    const node = outages(peers, (way) => way % peers === 7, 10);
    const rail = outages(peers, (way) => way < peers, 1);
    t.comment(`| ${nodes} | ${(rest.everyMs / 1000).toFixed(1)} s | ${Math.round(perSecond)} | ${((perSecond * MICROSECONDS) / 10_000).toFixed(1)} % | ${seconds(cable)} | ${seconds(node)} | ${seconds(rail)} |`); // biome-ignore format: one row
    t.ok(cable.at(-1)! <= rest.everyMs + 600, `a cable: ${cable}`);
    t.ok(node.at(-1)! <= Math.max(1_000, rest.everyMs / RAILS) + 1_000, `a node, asked by its other rails as soon as one is lost: ${node}`); // biome-ignore format: one row
    t.ok(rail.at(-1)! <= rest.everyMs + 1_000, `a switch: ${rail}`);
  });

t.test("turnOf() has each way once, those of a peer and those of a rail evenly apart", async (t) => {
  const kin = Array.from({ length: 400 }, (_, way) => ({ peer: way % 100, rail: Math.floor(way / 100) }));
  const turn = turnOf(kin);
  t.same(turn.toSorted((a, b) => a - b), [...kin.keys()]); // biome-ignore format: one row
  const places = turn.flatMap((way, place) => (kin[way]!.peer === 7 ? place : []));
  for (const [i, place] of places.entries())
    t.ok(Math.abs(((places[(i + 1) % 4]! - place + 400) % 400) - 100) < 4, places.join());
  t.equal(new Set(turn.slice(0, 4).map((way) => kin[way]!.rail)).size, 4);
  t.same(turnOf([]), []);
});

t.test("Witnesses doubt a rail when three of its ways are lost within a second, and not again at once", async (t) => {
  const witnesses = new Witnesses(
    Array.from({ length: 40 }, (_, way) => ({ peer: way % 10, rail: Math.floor(way / 10) })),
    5_000,
  );
  const lost = (way: number, nowMs: number) => witnesses.heed([{ way, isUsed: false }], nowMs).length;
  t.same([lost(0, 0), lost(1, 900), lost(2, 2_000)], [4, 4, 4], "each its peer alone");
  t.same([lost(3, 2_100), lost(4, 2_200), lost(5, 2_300)], [4, 14, 4]);
  t.same(witnesses.heed([{ way: 6, isUsed: true }], 2_400), [], "what is back says nothing");
});
