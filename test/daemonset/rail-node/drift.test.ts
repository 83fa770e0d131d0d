import t from "tap";
import { randomFrom } from "../../../cli/random.ts";
import type { Expectations, RailNetwork } from "../../../daemonset/rail-network/object.ts";
import { compare } from "../../../daemonset/rail-node/drift.ts";
import { linesOf, ofNode } from "../../../daemonset/rail-node/drift-words.ts";
import { expectedBy } from "../../../daemonset/rail-node/expected.ts";
import { FACT_NAMES } from "../../../daemonset/rail-node/facts.ts";
import type { RailNode, RailNodeStatus } from "../../../daemonset/rail-node/object.ts";
import { nodeOf } from "./support/rail-nodes.ts";

const SEED = Number(process.env["RAILNET_SEED"] ?? 20_261_130);
const ROUNDS = Number(process.env["RAILNET_DRIFT_ROUNDS"] ?? 60);
const NODES = 64;

type Mutable<T> = { -readonly [K in keyof T]: T[K] extends object | undefined ? Mutable<T[K]> : T[K] };
type Status = Mutable<RailNodeStatus>;
const changed = (node: RailNode, change: (status: Status) => unknown): RailNode => {
  const copy = structuredClone(node);
  change(copy.status as Status);
  return copy;
};

interface Change {
  readonly rail: string;
  readonly fact: string;
  readonly is: string;
  readonly make: (status: Status) => unknown;
}

/** Everything in which a node can be unlike the others, planted in rail `i`. */
const changesOf = (i: number): readonly Change[] => {
  const rail = `rail${i}`;
  const on = (fact: string, is: string, make: (r: Status["rails"][number]) => unknown): Change => ({
    rail,
    fact,
    is,
    make: (status) => make(status.rails.find(({ name }) => name === rail)!),
  });
  const ofNode = (fact: string, is: string, make: (node: Status["node"]) => unknown): Change => ({
    rail: "",
    fact,
    is,
    make: ({ node }) => make(node),
  });
  return [
    on("firmware", "28.39.1002", (r) => (r.firmware = "28.39.1002")),
    on("firmware", "not known", (r) => delete r.firmware),
    on("PCIe width", "x8", (r) => (r.pcie!.width = 8)),
    on("PCIe speed", "16.0 GT/s PCIe", (r) => (r.pcie!.speed = "16.0 GT/s PCIe")),
    on("PCIe width of the device", "x8", (r) => (r.pcie!.maxWidth = 8)),
    on("PCIe speed of the device", "16.0 GT/s PCIe", (r) => (r.pcie!.maxSpeed = "16.0 GT/s PCIe")),
    on("MTU", "1500", (r) => (r.mtu = 1500)),
    on("speed", "100000 Mb/s", (r) => (r.speed = 100_000)),
    on("driver", "ice", (r) => (r.driver = "ice")),
    on("model", "15b3:101d", (r) => (r.model = "15b3:101d")),
    on("PF", "eth7", (r) => (r.pf = "eth7")),
    on("PCI address", "0000:ff:00.0", (r) => (r.pci = "0000:ff:00.0")),
    on("PCIe root", "pci0000:ff", (r) => (r.pcieRoot = "pci0000:ff")),
    on("NUMA node", "7", (r) => (r.numaNode = 7)),
    on("NUMA node", "not known", (r) => delete r.numaNode),
    on("GPUs near", "0000:ff:00.0", (r) => (r.gpus = ["0000:ff:00.0"])),
    on("RDMA devices", "not known", (r) => delete r.rdmaDevices),
    on("sriov_totalvfs", "8", (r) => (r.totalVfs = 8)),
    on("VFs", "4", (r) => (r.vfs = 4)),
    on("trust", "pcp", (r) => (r.qos!.trust = "pcp")),
    on("PFC", "off", (r) => (r.qos!.pfc = "")),
    on("ECN", "off", (r) => (r.qos!.ecn = "")),
    on("ECN", "not known", (r) => delete r.qos!.ecn),
    { rail, fact: "rail", is: "absent", make: (status) => (status.rails = status.rails.filter(({ name }) => name !== rail)) }, // biome-ignore format: one row
    ofNode("kernel", "6.8.0-59-generic", (node) => (node.kernel = "6.8.0-59-generic")),
    ofNode("RDMA mode", "shared", (node) => (node.rdmaMode = "shared")),
    ofNode("agent", "0.0.9", (node) => (node.agent = "0.0.9")),
    ofNode("containerd", "1.7.27", (node) => (node.containerd = "1.7.27")),
    ofNode("kubelet", "1.34.1", (node) => (node.kubelet = "1.34.1")),
    ofNode("Multus", "not known", (node) => delete node.multus),
  ];
};

const fleet = () => Array.from({ length: NODES }, (_, n) => nodeOf(n));

t.test("compare() finds nothing among nodes that are alike, however they are used", async (t) => {
  const random = randomFrom(SEED);
  const nodes = fleet().map((node) =>
    changed(node, (status) => {
      for (const rail of status.rails) {
        [rail.used, rail.owed, rail.carrierChanges] = [
          Math.floor(random() * 9),
          Math.floor(random() * 2),
          Math.floor(random() * 1e6),
        ];
        if (random() < 0.2) [rail.carrier, rail.speed] = [false, undefined as never];
      }
      status.repairs = random() < 0.3 ? [{ at: "2026-11-30T00:00:00Z", what: "attachment ended", message: "x" }] : [];
    }),
  );
  const { odd, nodes: compared } = compare(nodes);
  t.same(odd, []);
  t.equal(compared.length, NODES);
});

t.test(
  `compare() finds every difference that is planted, and nothing else (seed ${SEED}, ${ROUNDS} rounds)`,
  async (t) => {
    const random = randomFrom(SEED);
    const among = (n: number) => Math.floor(random() * n);
    for (let round = 0; round < ROUNDS; round++) {
      const nodes = fleet().sort(() => random() - 0.5);
      const planted = new Map<string, string[]>();
      const taken = new Set<string>();
      for (let count = among(5); count >= 0; count--) {
        const all = changesOf(among(4));
        const change = all[among(all.length)]!;
        const { rail, fact, is } = change;
        // Of a rail that a node has not nothing else can be seen there; two changes of one fact are one.
        if (
          taken.has(`${rail} ${fact}`) ||
          [...taken].some((key) => key === `${rail} rail`) ||
          (fact === "rail" && [...taken].some((key) => key.startsWith(`${rail} `)))
        )
          continue;
        taken.add(`${rail} ${fact}`);
        const where = new Set(Array.from({ length: 1 + among(20) }, () => among(NODES)));
        for (const at of where) nodes[at] = changed(nodes[at]!, change.make);
        planted.set(JSON.stringify([rail, fact, is]), [...where].map((at) => nodes[at]!.metadata.name).sort());
      }
      const { odd } = compare(nodes);
      const found = new Map(odd.map((one) => [JSON.stringify([one.rail, one.fact, one.value]), [...one.nodes].sort()]));
      if (!t.strictSame(new Map([...found].sort()), new Map([...planted].sort()), `round ${round}`)) return;
    }
  },
);

const pins = (expect: Expectations, name = "ishikari", rails = 4): RailNetwork => ({
  apiVersion: "railnet.io/v1alpha1",
  kind: "RailNetwork",
  metadata: { name },
  spec: { rails: Array.from({ length: rails }, (_, i) => ({ name: `rail${i}`, pf: {} })), expect },
});
const AS_THEY_ARE: Expectations = { speedGbps: 400, roceMtu: 4096, linkMtu: 9000, trust: "dscp", pfc: [3], ecn: [3], firmware: "28.41.1000" }; // biome-ignore format: one row
const followers = (networks: readonly string[] = ["ishikari"]) => Array.from({ length: 8 }, (_, n) => nodeOf(n, networks)); // biome-ignore format: one row
const oddBy = (nodes: readonly RailNode[], ...networks: RailNetwork[]) =>
  compare(nodes, new Set(), expectedBy(networks)).odd;

t.test("compare() takes pinned values for the usual ones, and finds whoever has others", async (t) => {
  t.same(oddBy(followers(), pins(AS_THEY_ARE)), [], "who has them is not odd");
  const others: [Expectations, fact: string, value: string, usual: string][] = [
    [{ speedGbps: 800 }, "speed", "400000 Mb/s", "800000 Mb/s"],
    [{ roceMtu: 2048 }, "RoCE MTU", "4096", "2048"],
    [{ linkMtu: 9216 }, "MTU", "9000", "9216"],
    [{ trust: "pcp" }, "trust", "dscp", "pcp"],
    [{ pfc: [] }, "PFC", "3", "off"],
    [{ ecn: [4, 3] }, "ECN", "3", "3,4"],
    [{ firmware: "28.39.1002" }, "firmware", "28.41.1000", "28.39.1002"],
  ];
  for (const [expect, fact, value, usual] of others) {
    const odd = oddBy(followers(), pins({ ...AS_THEY_ARE, ...expect }));
    t.equal(odd.length, 4, `${fact}: each rail`);
    for (const one of odd) t.match(one, { fact, value, usual, usualNodes: 0, isExpected: true, nodes: { length: 8 } });
    t.not(FACT_NAMES.indexOf(fact), -1);
  }
  t.equal(compare(followers(), new Set(["firmware"]), expectedBy([pins({ firmware: "1" })])).odd.length, 0, "--ignore");
});

t.test("compare() by pinned values: the few that are right are not the odd ones out", async (t) => {
  const nodes = followers().map((node, n) =>
    n === 2
      ? node
      : changed(node, ({ rails }) => {
          for (const rail of rails) rail.firmware = "28.39.1002";
        }),
  );
  const odd = oddBy(nodes, pins({ firmware: "28.41.1000" }));
  t.same(
    odd.map(({ nodes }) => nodes.length),
    [7, 7, 7, 7],
  );
  t.match(ofNode(odd, "server-3"), /^firmware 28\.39\.1002 on rail0, rail1, rail2, rail3, expected 28\.41\.1000$/);
  t.equal(ofNode(odd, "server-2"), "");
  t.match(linesOf(odd), [
    /^server-0, server-1, server-3, .*: firmware 28\.39\.1002 on rail0, .*, expected 28\.41\.1000$/,
  ]);
});

t.test("compare() by pinned values: each node by its own RailNetwork, and the first of two that have a rail", async (t) => {
  const storage = Array.from({ length: 3 }, (_, n) => nodeOf(100 + n, ["storage"]));
  t.same(oddBy([...followers(), ...storage], pins({ linkMtu: 9000 }), pins({ linkMtu: 1500 }, "storage")).map(({ rail, nodes }) => [rail, nodes.length]), [["rail0", 3], ["rail1", 3], ["rail2", 3], ["rail3", 3]]);
  const both = followers(["ishikari", "storage"]);
  t.same(oddBy(both, pins({ linkMtu: 9000 }, "ishikari", 2), pins({ linkMtu: 1500 }, "storage")).map(({ rail }) => rail), ["rail2", "rail3"]);
  t.same(oddBy(followers([]), pins({ linkMtu: 1500 })), [], "a node that follows none");
  const down = followers().map((node) => changed(node, ({ rails }) => { for (const rail of rails) [rail.carrier, rail.speed] = [false, undefined as never]; }));
  t.same(oddBy(down, pins({ speedGbps: 400 })), [], "without carrier a port has no speed");
  const untold = followers().map((node) => changed(node, ({ rails }) => { for (const rail of rails) delete rail.qos!.ecn; }));
  t.match(oddBy(untold, pins({ ecn: [3] })), [{ value: "not known", usual: "3" }, {}, {}, {}]);
}); // biome-ignore format: rows

t.test("every fact can be left out by its name", async (t) => {
  for (const { fact, make } of changesOf(2)) {
    const nodes = fleet();
    nodes[7] = changed(nodes[7]!, make);
    t.ok(FACT_NAMES.includes(fact), fact);
    t.same(compare(nodes, new Set([fact])).odd, [], fact);
  }
});

t.test("compare() finds a MAC and an address that two ports have", async (t) => {
  const nodes = fleet();
  nodes[3] = changed(nodes[3]!, ({ rails }) => (rails[1]!.mac = "a0:88:c2:00:09:01"));
  nodes[5] = changed(nodes[5]!, ({ rails }) => (rails[0]!.addresses = ["10.0.0.9/24"]));
  t.match(compare(nodes).odd, [
    { rail: "rail1", fact: "MAC", value: "a0:88:c2:00:09:01", nodes: ["server-3", "server-9"] },
    { rail: "rail0", fact: "address", value: "10.0.0.9", nodes: ["server-5", "server-8"] },
  ]);
});

t.test(
  "compare() compares nodes of one kind, and leaves out those that have no rails and shall have none",
  async (t) => {
    const others = Array.from({ length: 8 }, (_, n) =>
      changed(nodeOf(100 + n, ["storage"]), ({ rails }) => void rails.splice(2)),
    );
    const bare = changed(nodeOf(200), (status) => (status.rails = []));
    const lost = changed(nodeOf(201, ["storage"]), (status) => (status.rails = []));
    const { odd, withoutRails } = compare([...fleet(), ...others, bare, lost]);
    t.same(withoutRails, ["server-200"]);
    t.same(
      odd.map(({ rail, fact, nodes }) => [rail, fact, nodes]),
      [
        ["rail0", "rail", ["server-201"]],
        ["rail1", "rail", ["server-201"]],
      ],
    );
  },
);

t.test("linesOf() says it as people do, once for all rails, the rarest first", async (t) => {
  const nodes = fleet();
  for (const n of [3, 4]) nodes[n] = changed(nodes[n]!, ({ node }) => (node.kernel = "6.8.0-59-generic"));
  nodes[35] = changed(nodes[35]!, ({ rails }) => {
    for (const rail of rails) rail.firmware = "28.39.1002";
  });
  nodes[7] = changed(nodes[7]!, ({ rails }) => (rails[2]!.pcie!.width = 8));
  nodes[8] = changed(nodes[8]!, ({ rails }) => void rails.pop());
  const { odd } = compare(nodes);
  t.same(linesOf(odd), [
    "server-8 alone: rail3 absent, 63 others here",
    "server-35 alone: firmware 28.39.1002 on rail0, rail1, rail2, rail3, 62 others 28.41.1000",
    "server-7 alone: PCIe width x8 on rail2, 63 others x16",
    "server-3, server-4: kernel 6.8.0-59-generic, 62 others 6.8.0-60-generic",
  ]);
  t.equal(ofNode(odd, "server-7"), "PCIe width x8 on rail2, 63 others x16");
  t.equal(ofNode(odd, "server-1"), "");
});
