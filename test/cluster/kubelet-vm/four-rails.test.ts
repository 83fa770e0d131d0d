import { isDeepStrictEqual } from "node:util";
import t, { type Test } from "tap";
import type { Json } from "../../../lab/cluster/raw.ts";
import { checkRails } from "../../../lab/kubelet/four-rails.ts";
import { podObject } from "../../../lab/kubelet/pods.ts";
import { applyRailNad } from "../../../lab/kubelet/rail-nad.ts";
import { becomes, look, type State } from "../../../lab/kubelet/state.ts";
import { until } from "../../../lab/until.ts";
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

/** So many pods at once, with an owner that replaces those that fail. */
async function applyBurst(replicas: number): Promise<void> {
  const { metadata, spec } = podObject("burst", { ...FOUR, labels: { app: "burst" } });
  const template = { metadata: { labels: metadata.labels, annotations: metadata.annotations }, spec };
  await api.raw.apply({
    apiVersion: "apps/v1",
    kind: "Deployment",
    metadata: { name: "burst", namespace: "default" },
    spec: { replicas, selector: { matchLabels: metadata.labels }, template },
  });
}

/** Waits until all pods of the burst run in containers that are not these. */
async function burst(old: readonly string[] = []): Promise<Json[]> {
  let running: Json[] = [];
  const run = async () => {
    const all = await api.raw.list("/api/v1/namespaces/default/pods?labelSelector=app%3Dburst");
    running = all.filter(
      ({ status }) =>
        status.phase === "Running" && status.containerStatuses?.[0]?.ready && !old.includes(containerOf({ status })),
    );
    return running.length === VFS;
  };
  await until("the pods run", run, { limitMs: LIMIT_MS, everyMs: 500 });
  return running;
}

const containerOf = ({ status }: Json): string => status.containerStatuses[0].containerID;

/** As the user reads them. */
async function failedAdds(): Promise<string[]> {
  const events = await api.raw.list("/api/v1/namespaces/default/events");
  return events.filter(({ reason }) => reason === "FailedCreatePodSandBox").map(({ message }) => message);
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
  const isBack = async () => isDeepStrictEqual(await vfsAtPfs(worker), before);
  await until("the PFs show their VFs as before", isBack, { limitMs: LIMIT_MS, everyMs: 1000 }).catch(() => {}); // a VF that starts anew tells its MAC late
  t.same(await vfsAtPfs(worker), before);
});

let containers: string[];

t.test("pods that are created at once, one for each VF, run without a failed ADD", async (t) => {
  await applyBurst(VFS);
  const running = await burst();
  await check(t, running);
  t.same(await failedAdds(), []);
  containers = running.map(containerOf);
});

// The kubelet rejects the pods that it had: until the agent has registered it knows of no healthy VF. Their owner makes others.
t.test("after a power cut all pods come back, no VF and no address lost or doubled", async (t) => {
  await worker.cutPower();
  await worker.startMultus();
  await check(t, await burst(containers));
});
