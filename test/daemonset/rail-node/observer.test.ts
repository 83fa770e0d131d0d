import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { PATHS } from "../../../cni/host.ts";
import type { KernelFacts } from "../../../daemonset/rail-node/kernel-facts.ts";
import { Observer } from "../../../daemonset/rail-node/observer.ts";
import { parseRails } from "../../../daemonset/rails/config.ts";
import type { RailsSeen } from "../../../daemonset/rails/keeper.ts";
import type { CarryOut, RailOrder } from "../../../daemonset/rails/orders.ts";
import { listPfFacts, selectPfs } from "../../../daemonset/rails/select.ts";
import { PfTree } from "../support/pf-tree.ts";

const A = "0000:a0:00.0";
const B = "0000:b0:00.0";
const LIST = `[{name: rail0, vfs: 8, pf: {names: ["ens1#0-3"]}}, {name: rail1, vfs: 8, pf: {names: [ens2]}}, {name: rail2, pf: {names: [ens3]}}]`;

class Node {
  readonly tree: PfTree;
  readonly orders: string[] = [];
  readonly observer: Observer;
  facts: KernelFacts = { mac: "aa:bb:cc:00:00:01", addresses: ["10.0.0.1/24"], mtu: 9000, speed: 200_000, firmware: "28.41.1000", trust: "dscp", pfc: "3" }; // biome-ignore format: one row
  /** PFs whose kernel thread does not answer. */
  readonly stuck = new Set<string>();
  networks: string[] = [];
  /** Why a rail is absent. */
  tooLong = "";
  nowMs = 0;

  constructor(t: Test) {
    const dir = t.testdir({ state: { attachments: {}, owed: {} } });
    this.tree = new PfTree(join(dir, "sys"));
    this.tree.addPf({ pci: A, netdev: "ens1", driver: "ice" });
    this.tree.addPf({ pci: B, netdev: "ens2", driver: "ice" });
    for (const pci of [A, B]) this.tree.writeNumVfs(pci, 8);
    const paths = { ...PATHS, sysfs: this.tree.root, stateDir: join(dir, "state"), hostRoot: dir };
    mkdirSync(join(dir, "opt/cni/bin"), { recursive: true });
    writeFileSync(join(dir, "opt/cni/bin/multus-shim"), "#!/bin/sh\necho multus-shim: version:v4.3.0 commit:1\n", {
      mode: 0o755,
    });
    this.observer = new Observer({
      paths,
      rails: () => this.#seen(),
      carryOut: this.#carryOut,
      repairs: () => [{ at: "2026-11-30T00:00:00.000Z", what: "attachment ended", about: "VF x", message: "orphaned" }],
      nowMs: () => this.nowMs,
      patienceMs: 200,
    });
    this.use = (vf) => writeFileSync(join(dir, "state/owed", `${vf}.json`), "{}");
  }

  /** A VF is owed something. */
  readonly use: (vf: string) => void;

  #seen(): RailsSeen {
    const { here, absent } = selectPfs(parseRails(LIST), listPfFacts(this.tree.root));
    const more = this.tooLong ? [{ rail: "rail9", why: this.tooLong }] : [];
    return { here, absent: [...absent, ...more], unusable: "", networks: this.networks };
  }

  readonly #carryOut = (async (order: RailOrder) => {
    if (order.do === "read-rdma-mode") return "exclusive";
    if (order.do !== "read-facts") throw new Error(order.do);
    this.orders.push(order.netdev);
    if (this.stuck.has(order.pf)) return new Promise<never>(() => {});
    return this.facts;
  }) as CarryOut;

  look = () => this.observer.look({ containerd: "2.4.2" });
}

t.test("Observer sees rails as sysfs, kernel and records show them", async (t) => {
  const node = new Node(t);
  node.use(node.tree.vfs(A)[1]!);
  node.use(node.tree.vfs(A)[5]!); // of nobody's range
  const seen = await node.look();
  t.match(seen, {
    node: { rdmaMode: "exclusive", containerd: "2.4.2", multus: "thick 4.3.0" },
    rails: [
      { name: "rail0", pf: "ens1", pci: A, driver: "ice", firmware: "28.41.1000", mtu: 9000, qos: { trust: "dscp", pfc: "3" }, vfs: 4, used: 0, owed: 1, carrier: true, totalVfs: 8 },
      { name: "rail1", vfs: 8, owed: 0 },
    ],
    absent: [{ rail: "rail2", why: "no PF of this node matches its selectors" }],
    summary: { rails: "2/3", vfs: "0/12" },
    repairs: [{ what: "attachment ended", message: "VF x: orphaned" }],
    ready: { status: "False", reason: "VfsOwed", message: /^rail0: 1 of its VFs/ },
  }); // biome-ignore format: rows
  node.networks = ["ishikari"];
  t.match((await node.look()).ready, { reason: "RailAbsent", message: /^rail2: no PF/ }, "a RailNetwork wants it");
});

t.test("Observer keeps a report within what its definition takes", async (t) => {
  const node = new Node(t);
  node.facts = { ...node.facts, addresses: Array.from({ length: 300 }, (_, i) => `10.0.${i >> 8}.${i & 255}/16`) };
  node.tooLong = "x".repeat(5_000);
  const { rails, absent } = await node.look();
  t.equal(rails[0]!.addresses!.length, 64);
  t.ok(absent.length === 2 && absent.every(({ why }) => why.length <= 1024));
});

t.test("Observer asks the kernel once in ten minutes, and when a carrier comes or goes", async (t) => {
  const node = new Node(t);
  for (let i = 0; i < 20; i++) await node.look();
  t.same(node.orders.splice(0), ["ens1", "ens2"]);
  node.tree.setCarrier("ens2", false);
  node.facts = { ...node.facts, mtu: 1500 };
  t.match(await node.look(), { rails: [{ mtu: 1500 }, { carrier: false }], ready: { reason: "NoCarrier" } });
  t.match((await node.look()).ready.message, "rail1 (ens2) has no carrier");
  t.same(node.orders.splice(0), ["ens1", "ens2"]);
  node.nowMs += 600_000;
  await node.look();
  t.same(node.orders.splice(0), ["ens1", "ens2"]);
});

t.test("Observer reports a PF whose firmware is stuck as it was, and asks it no more meanwhile", async (t) => {
  const node = new Node(t);
  await node.look();
  node.orders.splice(0);
  node.stuck.add(A);
  node.facts = { ...node.facts, mtu: 1500 };
  node.tree.setCarrier("ens1", false);
  const awake = setInterval(() => {}, 1000); // what it waits for keeps no process alive
  const { rails } = await node.look();
  clearInterval(awake);
  t.match(rails, [{ name: "rail0", mtu: 9000, carrier: false }, { name: "rail1", mtu: 1500 }]); // biome-ignore format: one row
  node.tree.setCarrier("ens1", true);
  await node.look();
  t.same(node.orders, ["ens1", "ens2", "ens2"]);
  node.tree.writeNumVfs(B, 0);
  t.match((await node.look()).ready.message, "rail1: its PF has 0 VFs of 8 configured");
});
