import t, { type Test } from "tap";
import { checkRails } from "../kubelet/support/four-rails.ts";
import { applyRailNad } from "../kubelet/support/rail-nad.ts";
import { becomes, look, type State } from "../kubelet/support/state.ts";
import type { Json } from "../support/raw.ts";
import { OFFERED, RAILS, VFS } from "./support/rails.ts";
import { checkVfs, vfsAtPfs } from "./support/vfs.ts";
import { Worker } from "./support/worker.ts";

const LIMIT_MS = 600_000;
const FOUR = { networks: RAILS, resources: Object.fromEntries(RAILS.map((rail) => [`railnet.io/${rail}`, 1])) };

t.setTimeout(3_000_000);
const worker = await Worker.start();
t.teardown(() => worker.stop());
const { api, pods } = worker;
for (const rail of RAILS) await applyRailNad(api.raw, rail, rail, {}, `railnet.io/${rail}`);

/** Asserts all that is to be seen of pods with four rails. */
async function check(t: Test, running: readonly Json[]): Promise<void> {
  await checkVfs(t, worker, running, await checkRails(t, worker, running, () => RAILS));
}

let bare: State;

t.test("the agent makes the VFs, and the node offers them", async (t) => {
  t.same(await worker.allocatable(), OFFERED);
  bare = await look(worker);
  t.equal(bare.links.length, RAILS.length * (VFS + 1));
});

t.test("two pods get four VFs each, reach each other rail by rail, and leave nothing", async (t) => {
  const before = await vfsAtPfs(worker);
  await check(t, await Promise.all(["pod0", "pod1"].map((name) => pods.start(name, FOUR))));
  await pods.remove("pod0", "pod1");
  await becomes(t, worker, bare, LIMIT_MS);
  t.same(await vfsAtPfs(worker), before);
});
