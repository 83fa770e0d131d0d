import t from "tap";
import { until } from "../../netns/support/run.ts";
import { allocatable, RAILS, RAILS_CONFIG, VFS } from "./support/rails.ts";
import { Worker } from "./support/worker.ts";

const LIMIT_MS = 600_000;
const OFFERED = Object.fromEntries(RAILS.map((rail) => [`railnet.io/${rail}`, `${VFS}`]));

t.setTimeout(3_000_000);
const worker = await Worker.start(RAILS_CONFIG);
t.teardown(() => worker.stop());

/** Waits until the node has all its VFs to give. */
const offered = () =>
  until("all VFs are offered", async () => {
    const now = await allocatable(worker);
    return RAILS.every((rail) => now[`railnet.io/${rail}`] === `${VFS}`);
  }, LIMIT_MS, 500); // biome-ignore format: one condition

t.test("the agent makes the VFs, and the node offers them", async (t) => {
  await offered();
  t.same(await allocatable(worker), OFFERED);
});
