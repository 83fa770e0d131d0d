import t from "tap";
import { incasts, type Pair, sampled, tournament } from "../../../cli/bench/rdma/rounds.ts";
import { randomFrom } from "../../../cli/random.ts";
import { fileSeed } from "../../../lab/seed.ts";

const keysOf = (slots: readonly (readonly Pair[])[]) => slots.flat().map(([from, to]) => `${from}>${to}`);
const isTwice = (slot: readonly Pair[]) => new Set(slot.flat()).size !== slot.flat().length;

t.test("tournament() of 2 to 64 nodes: every ordered pair once, no NIC twice at a time", async (t) => {
  for (let n = 2; n <= 64; n++) {
    const slots = tournament(n);
    const keys = keysOf(slots);
    t.equal(slots.length, 2 * (n % 2 === 0 ? n - 1 : n), `${n} nodes: rounds, there and back`);
    t.equal(new Set(keys).size, n * (n - 1), `${n} nodes: every pair`);
    t.equal(keys.length, n * (n - 1), `${n} nodes: once`);
    t.notOk(slots.some(isTwice), `${n} nodes: no NIC twice`);
    t.notOk(
      slots.flat().some(([from, to]) => from === to || Math.max(from, to) >= n),
      `${n} nodes: other nodes`,
    );
  }
  t.same(tournament(1), []);
  t.same(tournament(0), []);
});

t.test("sampled() gives each of 1,000 nodes so many others, both ways, and no NIC twice at a time", async (t) => {
  const slots = sampled(1000, 4, randomFrom(fileSeed()));
  t.equal(slots.length, 8);
  t.notOk(slots.some(isTwice));
  t.equal(new Set(keysOf(slots)).size, 4000, "each pair once");
  for (const side of [0, 1] as const) {
    const counts = Map.groupBy(slots.flat(), (pair) => pair[side]);
    t.equal(counts.size, 1000);
    t.ok([...counts.values()].every(({ length }) => length === 4));
  }
  t.same(sampled(1000, 4, randomFrom(7)), sampled(1000, 4, randomFrom(7)), "the same numbers, the same pairs");
  t.not(JSON.stringify(sampled(9, 2, randomFrom(7))), JSON.stringify(sampled(9, 2, randomFrom(8))));
  t.equal(sampled(4, 99, randomFrom(7)).length, 6, "no more than there are");
});

t.test("incasts() lets all others send to each end in turn", async (t) => {
  t.same(incasts(3), [[[1, 0], [2, 0]], [[0, 1], [2, 1]], [[0, 2], [1, 2]]]); // biome-ignore format: one row
  t.same(incasts(2), [], "one sender is none");
});
