import t from "tap";
import { randomFrom } from "../../../cli/random.ts";
import type { RailNodeStatus } from "../../../daemonset/rail-node/object.ts";
import { Pace } from "../../../daemonset/rail-node/pace.ts";
import { patchOf } from "../../../daemonset/rail-node/patch.ts";
import { nodeOf } from "./support/rail-nodes.ts";

const SEED = Number(process.env["RAILNET_SEED"] ?? 11);
const NODES = 1_000;
const SECONDS = 60;
const LOOK_MS = 10_000;
const BUDGET = 50;

type World = (n: number, nowMs: number) => RailNodeStatus;

const kept = new Map<string, RailNodeStatus>();

/** A node all of whose ports have lost or got carrier so often. The same object for the same world. */
function withCarrier(n: number, changes: number, used = 0): RailNodeStatus {
  const key = `${n} ${changes} ${used}`;
  const status = kept.get(key) ?? makeStatus(n, changes, used);
  kept.set(key, status);
  return status;
}

function makeStatus(n: number, changes: number, used: number): RailNodeStatus {
  const status = nodeOf(n).status!;
  const carrier = changes % 2 === 0;
  const [ready, drift] = status.conditions;
  return {
    ...status,
    rails: status.rails.map((rail) => ({ ...rail, carrier, carrierChanges: rail.carrierChanges + changes, used })),
    summary: { rails: carrier ? "4/4" : "0/4", vfs: status.summary.vfs },
    conditions: [
      carrier ? ready : { ...ready, status: "False", reason: "NoCarrier", message: status.rails.map(({ name, pf }) => `${name} (${pf}) has no carrier`).join("; ") }, // biome-ignore format: one row
      drift,
    ],
  };
}

interface Cost {
  readonly patches: number;
  readonly most: number;
  readonly bytes: number;
  readonly largest: number;
  readonly latestMs: number;
}

/** Agents of all nodes in virtual time, each with looks of its own phase, for so long after everything changed at 0. */
function run(world: World, forMs: number, isNew = false): Cost {
  const random = randomFrom(SEED);
  const perSecond = new Map<number, number>();
  let [patches, bytes, largest, latestMs, stale] = [0, 0, 0, 0, 0];
  for (let n = 0; n < NODES; n++) {
    const pace = new Pace({ spreadMs: SECONDS * 1000, random });
    let stored = isNew ? undefined : world(n, -1);
    for (let nowMs = random() * LOOK_MS; nowMs < forMs; nowMs += LOOK_MS * (0.9 + random() / 5)) {
      const now = world(n, nowMs);
      const patch = stored === now ? undefined : stored ? patchOf(stored, now, `uid-${n}`) : now;
      if (!pace.isDue(nowMs, patch !== undefined)) continue;
      pace.wrote(nowMs);
      stored = now;
      const second = Math.floor(nowMs / 1000);
      perSecond.set(second, (perSecond.get(second) ?? 0) + 1);
      const size = JSON.stringify(patch).length;
      [patches, bytes, largest, latestMs] = [
        patches + 1,
        bytes + size,
        Math.max(largest, size),
        Math.max(latestMs, nowMs),
      ];
    }
    if (!stored || patchOf(stored, world(n, forMs), "")) stale++;
  }
  t.equal(stale, 0, "what is stored is how it is, of every node");
  const cost = { patches, most: Math.max(...perSecond.values()), bytes, largest, latestMs: Math.round(latestMs) };
  t.comment(JSON.stringify(cost));
  return cost;
}

t.test(`a switch that reboots costs ≤ ${BUDGET} patches a second at ${NODES} nodes (seed ${SEED})`, async (t) => {
  // All ports lose carrier at 0 s, flap while the switch starts, and have it for good at 150 s.
  const flaps = (n: number) => [0, 90_000 + (n % 60) * 1000, 91_000 + (n % 60) * 1000, 150_000];
  const cost = run((n, nowMs) => withCarrier(n, flaps(n).filter((at) => at <= nowMs).length), 400_000);
  t.ok(cost.most <= BUDGET, `${cost.most} patches in the worst second`);
  t.ok(cost.patches <= 4 * NODES, `${cost.patches} patches in all`);
  t.ok(cost.largest < 2_500, `${cost.largest} bytes in the largest`);
  t.ok(cost.latestMs < 150_000 + 2 * SECONDS * 1000 + 2 * LOOK_MS, `the last at ${cost.latestMs} ms`);
});

t.test(`pods that come and go on all nodes all the time cost ≤ ${BUDGET} patches a second`, async (t) => {
  const cost = run(
    (n, nowMs) => withCarrier(n, 0, nowMs >= 180_000 ? 0 : Math.floor((nowMs + n * 37) / 3_000) % 8),
    310_000,
  );
  t.ok(cost.most <= BUDGET, `${cost.most} in the worst second`);
  t.ok(cost.patches <= NODES * (310 / SECONDS + 1), `${cost.patches} in all`);
});

t.test(`${NODES} agents that start at once cost ≤ ${BUDGET} writes a second`, async (t) => {
  const { most, patches } = run((n) => withCarrier(n, 0), 90_000, true);
  t.ok(most <= BUDGET, `${most} in the worst second`);
  t.equal(patches, NODES);
});

t.test("Pace forgets a change that went back by itself", async (t) => {
  const pace = new Pace({ spreadMs: 1000, random: () => 0.5 });
  t.notOk(pace.isDue(0, true));
  t.notOk(pace.isDue(400, false));
  t.notOk(pace.isDue(600, true), "a new change, with a time of its own");
  t.ok(pace.isDue(1100, true));
  pace.wrote(1100);
  t.notOk(pace.isDue(1700, true), "once in a spread");
  t.ok(pace.isDue(2200, true));
});
