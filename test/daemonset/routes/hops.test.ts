// The state machine in virtual time, with neighbours that are random.
import assert from "node:assert/strict";
import t from "tap";
import { Hops, type Verdict } from "../../../daemonset/routes/hops.ts";
import { type AskPace, paceOf } from "../../../daemonset/routes/pace.ts";
import { isUsed, newWay } from "../../../daemonset/routes/way.ts";
import * as fc from "../../../lab/properties.ts";

const TICK_MS = 50;

/** Ways whose neighbours answer, or do not, as `isAlive` says; an answer comes before the next tick. */
class Network {
  nowMs = 0;
  questions = 0;
  readonly hops: Hops;
  readonly said: (Verdict & { readonly atMs: number })[] = [];
  readonly asked: { readonly way: number; readonly atMs: number }[] = [];

  readonly #isAlive: (way: number, atMs: number) => boolean;

  constructor(
    count: number,
    isAlive: (way: number, atMs: number) => boolean,
    { isHop = true, pace = paceOf(count) }: { isHop?: boolean; pace?: AskPace } = {},
  ) {
    this.#isAlive = isAlive;
    this.hops = new Hops(Array.from({ length: count }, () => newWay(isHop, 0)), pace, 0); // biome-ignore format: one row
  }

  step(): void {
    this.nowMs += TICK_MS;
    const { ask, verdicts } = this.hops.tick(this.nowMs);
    for (const verdict of verdicts) this.said.push({ ...verdict, atMs: this.nowMs });
    for (const way of ask) {
      this.asked.push({ way, atMs: this.nowMs });
      if (this.#isAlive(way, this.nowMs)) this.hops.answered(way);
    }
    this.questions += ask.length;
  }

  until(ms: number): this {
    while (this.nowMs < ms) this.step();
    return this;
  }

  used(way: number): boolean {
    return isUsed(this.hops.ways[way]!);
  }
}

/** A way leaves so soon after it died: its turn, then as many answers as may be missed, each rounded up to a tick. */
const outMs = ({ everyMs, misses, answerMs }: AskPace) => everyMs + misses * (answerMs + TICK_MS) + 2 * TICK_MS;
/** And is back so soon when it has not flapped. */
const backMs = ({ downMs, proves, answerMs }: AskPace) => downMs + (proves + 1) * (answerMs + TICK_MS) + 2 * TICK_MS;

const ways = fc.integer({ min: 1, max: 4000 });

t.test("Hops says nothing while all answer", async () => {
  fc.assert(
    fc.property(ways, (count) => assert.deepEqual(new Network(count, () => true).until(5_000).said, [])),
    { numRuns: 6 },
  );
});

t.test(
  "Hops takes a dead way out within its bound, and brings it back within its bound; no other is touched",
  async () => {
    const property = fc.property(ways, fc.nat(), fc.integer({ min: 0, max: 3_000 }), (count, which, dieMs) => {
      const way = which % count;
      const pace = paceOf(count);
      const reviveMs = dieMs + 5_000;
      const network = new Network(count, (one, at) => one !== way || at < dieMs || at >= reviveMs);
      network.until(dieMs + outMs(pace));
      assert.equal(network.used(way), false, `${count} ways, dead since ${dieMs}`);
      network.until(reviveMs + backMs(pace));
      assert.equal(network.used(way), true, `${count} ways, back since ${reviveMs}`);
      assert.deepEqual(new Set(network.said.map((one) => one.way)), new Set([way]));
      assert.equal(network.said.length, 2);
    });
    fc.assert(property, { numRuns: 10 });
  },
);

t.test("Hops takes all ways of a dead switch out in time, too", async (t) => {
  const count = 4000;
  const pace = paceOf(count);
  const isDead = (way: number) => way % 4 === 1;
  const network = new Network(count, (way, at) => !isDead(way) || at < 1_000).until(1_000 + outMs(pace) + 1_000);
  t.equal(network.hops.ways.filter((_, way) => network.used(way)).length, 3000);
  t.ok(network.hops.ways.every((_, way) => network.used(way) !== isDead(way)));
});

t.test("Hops never asks beyond its budget, whatever dies and revives", async () => {
  const life = fc.record({ count: ways, periodMs: fc.integer({ min: 100, max: 4_000 }), share: fc.integer({ min: 1, max: 8 }), isHop: fc.boolean() }); // biome-ignore format: one row
  const property = fc.property(life, ({ count, periodMs, share, isHop }) => {
    const isAlive = (way: number, at: number) => way % share !== 0 || Math.floor(at / periodMs) % 2 === 0;
    const network = new Network(count, isAlive, { isHop });
    const { perSecond } = paceOf(count);
    for (let second = 1; second <= 4; second++) {
      const before = network.questions;
      network.until(second * 1_000);
      assert.ok(network.questions - before <= perSecond * 1.1, `${network.questions - before} in a second`);
    }
  });
  fc.assert(property, { numRuns: 10 });
});

t.test("Hops asks ways that are down, all together, no more often than it may", async (t) => {
  const network = new Network(4000, () => false, { isHop: false }).until(10_000);
  const before = network.questions;
  network.until(20_000);
  t.ok(network.questions - before <= 10_500, `${network.questions - before} in ten seconds`);
  const asked = new Set(network.asked.filter(({ atMs }) => atMs > 10_000).map(({ way }) => way));
  t.equal(asked.size, 4000, "and each has its turn");
});

t.test("Hops uses a thousand new peers at once as soon as the budget lets them prove themselves", async (t) => {
  const network = new Network(4000, () => true, { isHop: false }).until(7_000);
  t.equal(network.said.length, 4000);
  t.ok(network.said.every((verdict) => verdict.isUsed));
});

t.test("Hops goes on with what the kernel had, and asks before it believes", async (t) => {
  const network = new Network(4, () => false);
  t.ok(network.used(0), "an agent that starts takes nothing out");
  network.until(outMs(paceOf(4)));
  t.same(network.said.map((verdict) => verdict.isUsed), [false, false, false, false]); // biome-ignore format: one row
});

t.test("Hops takes a way that flaps out once, and back when it is calm", async (t) => {
  const calmMs = 60_000;
  const isAlive = (_: number, at: number) => at >= calmMs || Math.floor(at / 1_000) % 2 === 0;
  const network = new Network(1, isAlive).until(calmMs);
  const ups = network.said.filter((verdict) => verdict.isUsed);
  t.ok(ups.length <= 1, `used ${ups.length} times in a minute of flapping`);
  network.until(calmMs + 60_000);
  t.ok(network.used(0));
});

t.test(
  "Hops needs ever more answers of a way that goes down again and again, and forgets it after a calm minute",
  async (t) => {
    const pace = paceOf(1);
    let isAlive = true;
    const network = new Network(1, () => isAlive);
    const outage = () => {
      isAlive = false;
      while (network.used(0)) network.step();
      isAlive = true;
      const fromMs = network.nowMs;
      while (!network.used(0)) network.step();
      return network.nowMs - fromMs;
    };
    const took = [outage(), outage(), outage(), outage()];
    for (const [i, ms] of took.slice(1).entries()) t.ok(ms > took[i]! * 1.3, took.join());
    network.until(network.nowMs + pace.forgetMs + 1_000);
    t.ok(outage() <= took[0]! + pace.downMs);
  },
);

t.test("Hops asks at once what is hinted, and believes no hint", async (t) => {
  const network = new Network(4000, () => true).until(2_000);
  const before = network.asked.length;
  for (let i = 0; i < 100; i++) network.hops.hint(7, network.nowMs);
  network.hops.hint(4_711, network.nowMs);
  network.step();
  t.equal(network.asked.slice(before).filter(({ way }) => way === 7).length, 1); // biome-ignore format: one row
  network.until(4_000);
  t.same(network.said, []);
});

t.test("Hops loses all ways of a link without carrier at once, once, and they prove themselves again", async (t) => {
  const network = new Network(8, () => true).until(1_000);
  t.same(network.hops.lose([1, 5], network.nowMs), [{ way: 1, isUsed: false }, { way: 5, isUsed: false }]); // biome-ignore format: one row
  t.same(network.hops.lose([1, 5], network.nowMs), []);
  network.until(1_000 + backMs(paceOf(8)) + 500);
  t.ok(network.used(1) && network.used(5));
});

t.test("Hops outlives a clock that stands still, and a thread that slept", async (t) => {
  const network = new Network(100, () => true);
  for (let i = 0; i < 100; i++) network.hops.tick(0);
  network.until(1_000);
  network.nowMs += 3_600_000;
  network.until(network.nowMs + 2_000);
  t.ok(network.said.length <= 100 * 2);
  t.ok(network.hops.ways.every(isUsed));
});
