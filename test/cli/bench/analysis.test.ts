import t from "tap";
import { oddOnes } from "../../../cli/bench/rdma/analysis.ts";
import { causesOf } from "../../../cli/bench/rdma/causes.ts";
import type { BenchEnd, Cell, EndRail } from "../../../cli/bench/rdma/results.ts";
import { sampled, tournament } from "../../../cli/bench/rdma/rounds.ts";
import { randomFrom } from "../../../cli/random.ts";
import { howToKeep, seedsOf } from "../../../lab/seed.ts";

const RAILS = ["rail0", "rail1", "rail2", "rail3"];
const name = (i: number) => `node-${i}`;

interface Fault {
  readonly kind: "rail" | "node" | "node-rail" | "path";
  readonly rail?: string;
  readonly ends: readonly string[];
  readonly direction: "sends" | "receives" | "both";
}

const isHit = ({ kind, rail, ends: [one, other], direction }: Fault, cell: Cell): boolean => {
  if (rail && rail !== cell.rail) return false;
  if (kind === "rail") return true;
  const there = cell.from === one && (kind !== "path" || cell.to === other);
  const back = cell.to === one && (kind !== "path" || cell.from === other);
  return direction === "both" ? there || back : (direction === "sends") === there && there !== back;
};

/** Figures of a sound fabric within 3 %, and what a fault makes of them; `factor` 0: it cannot be measured. */
function cellsWith(
  slots: ReturnType<typeof tournament>,
  faults: readonly Fault[],
  factor: number,
  random: () => number,
): Cell[] {
  return RAILS.flatMap((rail) =>
    slots.flat().map(([from, to]): Cell => {
      const cell: Cell = {
        side: "pod",
        mode: "alone",
        test: "write",
        rail,
        from: name(from),
        to: name(to),
        transport: "rdma",
      };
      if (!faults.some((fault) => isHit(fault, cell))) return { ...cell, gbps: 196 * (0.97 + 0.03 * random()) };
      return factor === 0 ? { ...cell, error: "no end within 30000 ms" } : { ...cell, gbps: 196 * factor };
    }),
  );
}

const named = (cells: readonly Cell[]) =>
  oddOnes(cells).map(({ kind, rail, ends, direction }) => [
    kind,
    rail ?? "all",
    kind === "path" && direction === "both" ? [...ends].sort() : ends,
    direction,
  ]);
const wanted = ({ kind, rail, ends, direction }: Fault) => [
  kind,
  rail ?? "all",
  kind === "path" && direction === "both" ? [...ends].sort() : ends,
  direction,
];

/** Some fault that `n` nodes can tell. */
function faultOf(n: number, random: () => number): Fault {
  const pick = (most: number) => Math.floor(random() * most);
  const [one, step] = [pick(n), 1 + pick(n - 1)];
  const ends = [name(one), name((one + step) % n)];
  const rail = RAILS[pick(RAILS.length)]!;
  const direction = (["sends", "receives", "both"] as const)[pick(3)]!;
  const kind = (["rail", "node", "node-rail", "path"] as const)[pick(4)]!;
  if (kind === "rail") return { kind, rail, ends: [], direction: "both" };
  if (kind === "path") return { kind, rail, ends, direction: direction === "receives" ? "sends" : direction };
  return { kind, ...(kind === "node-rail" && { rail }), ends: [ends[0]!], direction };
}

for (const seed of seedsOf(1))
  t.test(`oddOnes() names one fault, and nothing else, in 300 clusters; seed ${seed}`, async (t) => {
    const random = randomFrom(seed);
    for (let round = 0; round < 300; round++) {
      const n = 3 + Math.floor(random() * 14);
      const fault = faultOf(n, random);
      const factor = fault.kind === "rail" ? 0.5 : [0, 0.05, 0.5, 0.85][Math.floor(random() * 4)]!;
      const cells = cellsWith(tournament(n), [fault], factor, random);
      const [is, want] = [JSON.stringify(named(cells)), JSON.stringify([wanted(fault)])];
      if (is === want) continue;
      t.equal(is, want, `${n} nodes, ${JSON.stringify(fault)}, factor ${factor}; ${howToKeep(seed)}`);
      return;
    }
    t.pass();
  });

t.test("oddOnes() finds nothing in a sound cluster, and a slow node among 1,000 of a sample", async (t) => {
  const random = randomFrom(1);
  t.same(oddOnes(cellsWith(tournament(16), [], 1, random)), []);
  const slow: Fault = { kind: "node-rail", rail: "rail2", ends: [name(700)], direction: "both" };
  t.same(named(cellsWith(sampled(1000, 3, random), [slow], 0.5, random)), [wanted(slow)]);
});

t.test("oddOnes() of two nodes says that it is between them, and which way", async (t) => {
  const one: Fault = { kind: "path", rail: "rail1", ends: [name(1), name(0)], direction: "sends" };
  t.same(named(cellsWith(tournament(2), [one], 0.5, randomFrom(1))), [wanted(one)]);
});

t.test("oddOnes() names two faults of different rails", async (t) => {
  const faults: Fault[] = [
    { kind: "node-rail", rail: "rail0", ends: [name(2)], direction: "sends" },
    { kind: "path", rail: "rail3", ends: [name(1), name(4)], direction: "both" },
  ];
  t.same(named(cellsWith(tournament(6), faults, 0.3, randomFrom(1))), faults.map(wanted));
});

t.test("oddOnes() says how much is left", async (t) => {
  const fault: Fault = { kind: "node-rail", rail: "rail0", ends: [name(2)], direction: "both" };
  const [half] = oddOnes(cellsWith(tournament(8), [fault], 0.5, () => 1));
  t.equal(half?.percent, 50);
  t.equal(oddOnes(cellsWith(tournament(8), [fault], 0, () => 1))[0]?.percent, 0, "nothing could be measured");
});

const end = (i: number, rail: EndRail): BenchEnd => ({ name: name(i), node: name(i), rails: { rail0: rail } });
const odd = { side: "pod", mode: "alone", test: "write", kind: "node-rail", rail: "rail0", ends: [name(0)], direction: "both", percent: 50 } as const; // biome-ignore format: one row
const usual: EndRail = { linkMtu: 9000, speed: 400_000, pcie: "32.0 GT/s x16", portState: "ACTIVE", gidIndex: 3 };

for (const [what, mine, want] of [
  ["the link's MTU", { linkMtu: 1500 }, "node-0, rail0: link MTU is 1500, elsewhere 9000"],
  ["speed", { speed: 100_000 }, "node-0, rail0: speed (Mb/s) is 100000, elsewhere 400000"],
  ["PCIe width", { pcie: "32.0 GT/s x8" }, "node-0, rail0: PCIe is 32.0 GT/s x8, elsewhere 32.0 GT/s x16"],
  ["the port's state", { portState: "DOWN" }, "node-0, rail0: port state is DOWN, elsewhere ACTIVE"],
  ["another GID", { gidIndex: 5 }, "node-0, rail0: GID index is 5, elsewhere 3"],
  ["counters", { grown: { out_of_sequence: 5000 } }, "node-0, rail0: out_of_sequence grew by 5000, elsewhere by 0"],
] as const)
  t.test(`causesOf() names ${what}`, async (t) => {
    t.same(causesOf(odd, [end(0, { ...usual, ...mine }), end(1, usual), end(2, usual)], []), [want]);
  });

t.test("causesOf() names the queue pairs' MTU and what perftest said, once", async (t) => {
  const cell = (from: number, to: number, more: Partial<Cell>): Cell => ({ ...odd, rail: "rail0", from: name(from), to: name(to), transport: "rdma", ...more }); // biome-ignore format: one row
  const small = [cell(0, 1, { gbps: 90, mtuBytes: 1024 }), cell(1, 2, { gbps: 196, mtuBytes: 4096 })];
  t.match(causesOf(odd, [], small), [/^RoCE MTU is 1024, elsewhere 4096: a link MTU below 2200/]);
  const failed = [cell(0, 1, { error: "no route" }), cell(0, 2, { error: "no route" }), cell(1, 2, { gbps: 1 })];
  t.same(causesOf(odd, [], failed), ["no route"]);
});

t.test("causesOf() says nothing of ends that are alike, or of which nothing is known", async (t) => {
  t.same(causesOf(odd, [end(0, usual), end(1, usual)], []), []);
  t.same(causesOf(odd, [end(0, {}), end(1, {})], []), []);
  t.same(causesOf(odd, [], []), []);
});
