// A node that nobody hears takes its VFs down, and lets up again what is still its own. On a kernel, an API server and a
// clock that are none.
import t from "tap";
import type { FenceCluster } from "../../../daemonset/addresses/node/fence.ts";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import type { Owner } from "../../../ipam/store/store.ts";
import type { EventRequest } from "../../../kubernetes/events/kube-event.ts";
import { DoubleNode, type Pod } from "../../cni/drivers/support/node.ts";
import { PROFILES } from "../../cni/drivers/support/profiles.ts";
import { ownerOf, poolOf } from "../../ipam/store/names.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";
import { KeptLog } from "../support/log.ts";

// After the redirection of the double.
const { noCounts } = await import("../../../daemonset/addresses/counters.ts");
const { Fence } = await import("../../../daemonset/addresses/node/fence.ts");
const { patienceMs } = await import("../../../daemonset/addresses/leader/gone-nodes.ts");
const { fenceAfterMs } = await import("../../../daemonset/addresses/node/plan-fence.ts");
const { REPORT_MS } = await import("../../../daemonset/addresses/node/report.ts");
const { Heartbeat } = await import("../../../daemonset/addresses/node/heartbeat.ts");
const { tryLockAttachment } = await import("../../../cni/attachment/exclusion.ts");
const { obey } = await import("../../../cni/attachment/fence.ts");
const { ClaimJournal } = await import("../../../ipam/journal.ts");
const { KubernetesStore } = await import("../../../ipam/store/kubernetes.ts");

const POOL = poolOf("rail0", "10.40.0.0/28");
const RESERVATIONS = "overlappingrangeipreservations";
const PATIENCE_MS = patienceMs();
const FENCE_MS = fenceAfterMs(PATIENCE_MS);
const { signal } = new AbortController();

class World implements Disposable {
  readonly node = new DoubleNode(PROFILES.mlx5);
  readonly cluster = new MemoryCluster();
  readonly counters = noCounts();
  readonly log = new KeptLog();
  readonly said: EventRequest[] = [];
  readonly store;
  nowMs = 1_000;
  isOn = true;
  isCut = false;
  fence;
  heartbeat;

  constructor() {
    const log = { info() {}, warn() {} };
    this.store = new KubernetesStore({ cluster: this.cluster, mode: () => "absent", log, createsAdopted: true });
    this.cluster.before = () => {
      if (this.isCut) throw new Error("no route to host");
    };
    [this.heartbeat, this.fence] = this.#agent();
  }

  /** The agent ends, in whatever moment, and another one starts. */
  restart(): void {
    [this.heartbeat, this.fence] = this.#agent();
  }

  #agent() {
    const { stateDir } = this.node.host.paths;
    const { bootId } = this.node.host;
    const heartbeat = new Heartbeat({ stateDir, bootId, log: this.log, nowMs: () => this.nowMs });
    const cluster: FenceCluster = {
      store: this.store,
      report: async () => {
        const sinceMs = heartbeat.nowMs();
        if (this.isCut) throw new Error("no route to host");
        heartbeat.renewed(sinceMs);
      },
    };
    const fence = new Fence({
      heartbeat,
      stateDir,
      bootId,
      patienceMs: PATIENCE_MS,
      isOn: () => this.isOn,
      cluster: () => cluster,
      threads: { fence: (_pci, order) => obey(order, this.node.host) },
      recorder: { record: (event) => void this.said.push(event) },
      counters: this.counters,
      log: this.log,
    });
    return [heartbeat, fence] as const;
  }

  /** A pod with the VF of this index and an address; `kind` of another storage: the cluster has nothing of it. */
  async add(index: number, ip: string, kind: "kubernetes" | "directory" = "kubernetes"): Promise<Owner> {
    const pod: Pod = this.node.pod();
    await this.node.add(pod, {}, index);
    this.node.settle();
    const owner = ownerOf(pod.id, "a", { containerId: pod.id, ifname: "net1" });
    if (kind === "kubernetes") t.equal(await this.store.claim({ pool: POOL, ip, owner }), undefined);
    const storage = kind === "kubernetes" ? { kind, kubeconfig: "/k" } : { kind, directory: "/d" };
    new ClaimJournal(this.node.host.paths.stateDir).write({ version: 1, phase: "held", network: "rail0", storage, owner, netns: pod.path, netnsInode: 0, since: "", addresses: [{ pool: POOL, ip }] } as unknown as ClaimRecord); // biome-ignore format: one row
    return owner;
  }

  async lookAfter(ms: number): Promise<void> {
    this.nowMs += ms;
    await this.fence.look(signal);
    this.node.settle();
  }

  passes = (index: number): boolean => this.node.nic.passes(this.node.vf(index));
  reasons = (): string[] => this.said.splice(0).map(({ reason }) => reason);

  [Symbol.dispose](): void {
    this.node[Symbol.dispose]();
  }
}

t.test("a node that nobody hears takes its VFs down in time, and they come back when it is heard", async (t) => {
  using world = new World();
  await world.add(0, "10.40.0.1");
  await world.add(1, "10.40.0.2", "directory");
  world.isCut = true;
  await world.lookAfter(FENCE_MS - 1);
  t.ok(world.passes(0), "not before");
  await world.lookAfter(1);
  t.notOk(world.passes(0));
  t.ok(world.passes(1), "whose addresses nobody else gives out keeps them");
  t.ok(world.nowMs < PATIENCE_MS + 1_000);
  t.match([world.counters.fences, world.counters.fenced], [1, 1]);
  t.match(world.said, [{ about: { namespace: "team", name: "c0" }, type: "Warning", reason: "RailFenced" }]);
  await world.lookAfter(PATIENCE_MS);
  t.notOk(world.passes(0), "it cannot be asked, so it stays down");
  t.equal(world.counters.fences, 1);
  world.isCut = false;
  await world.lookAfter(10_000);
  t.ok(world.passes(0));
  t.equal(world.counters.fenced, 0);
  t.same(world.reasons(), ["RailFenced", "RailUnfenced"]);
  t.match(world.log.take().filter((line) => /^(warn VF|info VF)/.test(line)), [/^warn VF taken down/, /^info VF is up again/]); // biome-ignore format: one row
});

t.test(
  "of what was given away meanwhile nothing comes back; of what is nobody's, and in quarantine, all",
  async (t) => {
    using world = new World();
    const [lost, quarantined] = [await world.add(0, "10.40.0.1"), await world.add(1, "10.40.0.2")];
    world.isCut = true;
    await world.lookAfter(FENCE_MS);
    t.same([world.passes(0), world.passes(1)], [false, false]);
    world.isCut = false;
    await world.cluster.delete({ plural: RESERVATIONS } as never, "rail0-10.40.0.1");
    await world.store.claim({ pool: POOL, ip: "10.40.0.1", owner: ownerOf("another") });
    const spec = { podref: "quarantined", ifname: "", containerid: "" };
    const annotations = { "railnet.io/quarantined": new Date().toISOString() };
    await world.cluster.mergePatch({ plural: RESERVATIONS } as never, "rail0-10.40.0.2", { spec, metadata: { annotations } }); // biome-ignore format: one row
    world.reasons();
    await world.lookAfter(10_000);
    await world.lookAfter(10_000);
    t.same([world.passes(0), world.passes(1)], [false, true]);
    t.match(world.cluster.read(RESERVATIONS, "rail0-10.40.0.1").spec, { podref: "team/another" }, "it keeps it");
    t.match(world.cluster.read(RESERVATIONS, "rail0-10.40.0.2").spec, { podref: quarantined.podref });
    const taken = world.log.lines.filter(({ message }) => /stays down/.test(message));
    t.match(taken, [{ fields: { containerID: lost.containerId, ip: "10.40.0.1", holder: { podref: "team/another" } } }], "said once"); // biome-ignore format: one row
    t.same(world.reasons(), ["FencedAddressTaken", "RailUnfenced"]);
    t.equal(world.counters.fenced, 1);
    world.node.nic.set(0, { linkState: "auto" });
    t.ok(world.passes(0));
    await world.lookAfter(10_000);
    t.notOk(world.passes(0), "it is seen to that it stays so");
    await world.store.release({ pool: POOL, ip: "10.40.0.1", owner: ownerOf("another") });
    await world.lookAfter(10_000);
    t.ok(world.passes(0), "once the other one is gone");
  },
);

t.test("an agent that starts anew counts on, and knows what is down", async (t) => {
  using world = new World();
  await world.add(0, "10.40.0.1");
  world.heartbeat.renewed(world.nowMs);
  world.isCut = true;
  await world.lookAfter(FENCE_MS / 2);
  world.restart();
  await world.lookAfter(FENCE_MS / 2);
  t.notOk(world.passes(0), "half the time before, half after");
  world.restart();
  await world.lookAfter(10_000);
  t.notOk(world.passes(0));
  t.equal(world.counters.fences, 1, "it is no new fence");
  world.isCut = false;
  world.restart();
  await world.lookAfter(10_000);
  t.ok(world.passes(0));
});

t.test("an agent whose reports fail for less than that, or whose fence is off, fences nothing", async (t) => {
  using world = new World();
  await world.add(0, "10.40.0.1");
  world.isCut = true;
  await world.lookAfter(FENCE_MS - 10_000);
  world.isCut = false;
  await world.lookAfter(9_000);
  t.ok(world.heartbeat.silentMs < REPORT_MS, "a late report is tried again at each look");
  world.isCut = true;
  world.isOn = false;
  await world.lookAfter(10 * PATIENCE_MS);
  t.ok(world.passes(0));
  world.isOn = true;
  await world.lookAfter(0);
  t.notOk(world.passes(0));
  world.isOn = false;
  await world.lookAfter(10_000);
  t.notOk(world.passes(0), "switched off while cut off: nobody can say whose the address is");
  world.isCut = false;
  await world.lookAfter(10_000);
  t.ok(world.passes(0));
});

t.test("a VF that somebody works on is fenced at the next look, and keeps no other from it", async (t) => {
  using world = new World();
  const { containerId, ifname } = await world.add(0, "10.40.0.1");
  await world.add(1, "10.40.0.2");
  world.isCut = true;
  {
    using lock = tryLockAttachment({ containerId, ifname }, world.node.host);
    t.ok(lock);
    await world.lookAfter(FENCE_MS);
    t.same([world.passes(0), world.passes(1)], [true, false]);
  }
  await world.lookAfter(10_000);
  t.notOk(world.passes(0));
});
