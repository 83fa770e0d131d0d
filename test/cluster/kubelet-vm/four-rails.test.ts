import { isDeepStrictEqual } from "node:util";
import t, { type Test } from "tap";
import type { Json } from "../../../lab/cluster/raw.ts";
import { checkRails } from "../../../lab/kubelet/four-rails.ts";
import { ungoverned } from "../../../lab/kubelet/governed.ts";
import { networkStatus, podObject } from "../../../lab/kubelet/pods.ts";
import { applyRailNad } from "../../../lab/kubelet/rail-nad.ts";
import { becomes, look, type State } from "../../../lab/kubelet/state.ts";
import { until } from "../../../lab/until.ts";
import { ofReadme, oneLabel, pastAdmission } from "./support/one-label.ts";
import { OFFERED, RAILS, VFS } from "./support/rails.ts";
import { checkVfs, vfsAtPfs } from "./support/vfs.ts";
import { Worker } from "./support/worker.ts";

const LIMIT_MS = 240_000;
const NADS = "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions";
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

/** Of the burst, as the user reads them. */
async function failedAdds(): Promise<string[]> {
  const events = await api.raw.list("/api/v1/namespaces/default/events");
  const failed = events.filter(({ reason }) => reason === "FailedCreatePodSandBox");
  return failed.filter(({ involvedObject }) => /^burst/.test(involvedObject.name)).map(({ message }) => message);
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
  const dmesg = (await worker.node.exec(["dmesg"])).trim().split("\n").slice(-30);
  t.same(await vfsAtPfs(worker), before, "the PFs show their VFs as before", { dmesg });
});

t.test("the README's example: all VFs in sets, one label, and everything goes back", async (t) => {
  await oneLabel(t, worker, ofReadme());
  await worker.offered();
  await becomes(t, worker, bare, LIMIT_MS);
});

let containers: string[];

t.test(
  "networks that a RailNetwork makes give pods the same; pods outlive it, and a DEL needs nothing of it",
  async (t) => {
    const rails = RAILS.map((name, i) => ({ name, pf: { names: [name] }, vfs: VFS, subnet: `10.201.${i}.0/24` }));
    await api.raw.merge("/api/v1/namespaces/default", { metadata: { labels: { rails: "allowed" } } });
    await api.raw.apply({
      apiVersion: "railnet.io/v1alpha1",
      kind: "RailNetwork",
      metadata: { name: "ishikari" },
      spec: { rails, pods: { namespaces: { matchLabels: { rails: "allowed" } } } },
    });
    const networks = RAILS.map((rail) => `ishikari-${rail}`);
    const made = async () => (await api.raw.list(NADS)).map(({ metadata }) => metadata.name).filter((name) => /^ishikari/.test(name)); // biome-ignore format: one row
    await until("the leader makes them", async () => isDeepStrictEqual((await made()).sort(), networks), { limitMs: LIMIT_MS }); // biome-ignore format: one row
    const running = await Promise.all(["of0", "of1"].map((name) => pods.start(name, { ...FOUR, networks })));
    await checkVfs(t, worker, running, await checkRails(t, worker, running, () => networks));
    t.same(
      running.flatMap(networkStatus).map(({ ips }) => ips![0]!.split(".").slice(0, 3).join(".")),
      [0, 1].flatMap(() => RAILS.map((_, i) => `10.201.${i}`)),
      "by its subnets",
    );
    await pastAdmission(t, worker);
    await api.raw.delete("/apis/railnet.io/v1alpha1/railnetworks/ishikari");
    await until("they go with it", async () => (await made()).length === 0, { limitMs: LIMIT_MS });
    await checkRails(t, worker, running, () => networks);
    await pods.remove("of0", "of1");
    await becomes(t, worker, bare, LIMIT_MS);
    await ungoverned(worker.node);
    await worker.offered();
  },
);

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
