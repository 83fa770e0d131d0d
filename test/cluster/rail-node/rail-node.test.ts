import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer, kubernetes } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds, installRailObjects } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { nodeOf } from "../../daemonset/rail-node/support/rail-nodes.ts";
import { PfTree } from "../../daemonset/support/pf-tree.ts";

t.setTimeout(600_000);
const RAILNET = new URL("../../../dist/test/railnet", import.meta.url).pathname;
const RAIL_NODES = "/apis/railnet.io/v1alpha1/railnodes";
const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
const token = await installAgent(api);
const admin = api.kubeconfig();

/** A node whose sysfs has two PFs of 8 VFs each; nothing of it is in this machine's kernel. */
async function startNode(name: string, rails: string): Promise<{ node: ClusterNode; tree: PfTree; config: string }> {
  await makeNode(api.raw, name);
  const node = new ClusterNode(name, { folder: api.folder, kubeconfig: api.kubeconfig({ token }) });
  t.teardown(() => node.stop());
  const tree = new PfTree(`${node.folder}/sys`);
  for (const [i, pci] of ["0000:a0:00.0", "0000:b0:00.0"].entries()) {
    tree.addPf({ pci, netdev: `rntest${i}`, driver: "ice", numaNode: i });
    tree.writeNumVfs(pci, 8);
    tree.file(pci, "current_link_speed", "16.0 GT/s PCIe\n");
    tree.file(pci, "current_link_width", "16\n");
    tree.file(pci, "max_link_speed", "16.0 GT/s PCIe\n");
    tree.file(pci, "max_link_width", "16\n");
  }
  const config = `${node.folder}/config`;
  mkdirSync(config);
  writeFileSync(`${config}/rails`, rails);
  await node.start("--config-dir", config, "--report-seconds", "1", "--grace-seconds", "1", "--device-plugins", "");
  return { node, tree, config };
}

const RAILS = "[{name: rail0, vfs: 8, pf: {names: [rntest0]}}, {name: rail1, vfs: 8, pf: {names: [rntest1]}}]";
const kubectl = (...args: string[]) =>
  execFileSync(kubernetes("kubectl"), ["--kubeconfig", admin, ...args], { encoding: "utf8" });
const nodes = (...args: string[]) => {
  const { status, stdout, stderr } = spawnSync(RAILNET, ["nodes", "--kubeconfig", admin, ...args], {
    encoding: "utf8",
  });
  return { exit: status, stdout, stderr };
};
const read = async (name: string): Promise<Json> => (await api.raw.request("GET", `${RAIL_NODES}/${name}`)).body;
const isSo = (what: string, name: string, is: (status: Json) => boolean) =>
  until(what, async () => {
    const { status } = await read(name);
    return status?.rails !== undefined && is(status);
  });

const named = (n: number): Json => ({ ...nodeOf(n), metadata: { name: `server-${n}` } });

const first = await startNode("node-a", RAILS);

t.test("an agent in a cluster without the definition says so once, and serves", async (t) => {
  await until("it is said", () => first.node.log().includes("no RailNode: it is not served here"));
  t.match(nodes().stderr, /railnodes are not served here/);
  t.equal(nodes().exit, 1);
  await installRailObjects(api.raw);
  await isSo("it is asked again soon", "node-a", ({ rails }) => rails.length === 2);
});

let third: Awaited<ReturnType<typeof startNode>> | undefined;
let second: Awaited<ReturnType<typeof startNode>> | undefined;

t.test("an agent writes what its node has, and the node owns it", async (t) => {
  second = await startNode("node-b", RAILS);
  await isSo("node-b has reported", "node-b", ({ rails }) => rails.length === 2);
  const { metadata, status } = await read("node-b");
  const owner = await api.raw.get("/api/v1/nodes/node-b");
  t.match(metadata.ownerReferences, [{ apiVersion: "v1", kind: "Node", name: "node-b", uid: owner.metadata.uid }]);
  t.match(status, {
    node: { kernel: execFileSync("uname", ["-r"], { encoding: "utf8" }).trim(), agent: /^\d+\.\d+/ },
    networks: [],
    rails: [
      { name: "rail0", pf: "rntest0", pci: "0000:a0:00.0", driver: "ice", numaNode: 0, vfs: 8, used: 0, owed: 0, totalVfs: 8, carrier: true, pcie: { speed: "16.0 GT/s PCIe", width: 16 } },
      { name: "rail1", numaNode: 1 },
    ],
    summary: { rails: "2/2", vfs: "0/16" },
    conditions: [{ type: "RailsReady", status: "True", reason: "AllReady" }, { type: "Drift" }],
  }); // biome-ignore format: rows
});

t.test("a port that loses its carrier is in the report, and comes back", async (t) => {
  second!.tree.setCarrier("rntest1", false);
  await isSo("it is told", "node-b", ({ conditions }) => conditions[0].status === "False");
  const { status } = await read("node-b");
  t.match(status.conditions[0], { reason: "NoCarrier", message: "rail1 (rntest1) has no carrier" });
  t.equal(status.summary.rails, "1/2");
  t.match(kubectl("get", "railnode", "node-b"), /^NAME +READY +RAILS +VFS +ODD +AGENT +AGE\nnode-b +False +1\/2 +0\/16 +\w+ /); // biome-ignore format: one row
  t.match(nodes().stdout, /Not ready:\n {2}node-b: rail1 \(rntest1\) has no carrier\n/);
  second!.tree.setCarrier("rntest1", true);
  await isSo("it is back", "node-b", ({ conditions }) => conditions[0].status === "True");
});

t.test("the leader says which node is not like the others, as railnet nodes does", async (t) => {
  third = await startNode("node-c", RAILS);
  await isSo("node-c has reported", "node-c", ({ rails }) => rails.length === 2);
  await api.raw.apply({ ...nodeOf(0), metadata: { name: "node-d" }, status: { ...(await read("node-c")).status } });
  third.tree.file("0000:b0:00.0", "current_link_width", "8\n");
  third.tree.setCarrier("rntest1", false); // a reason to look at once
  await isSo("the facts are read anew", "node-c", ({ rails }) => rails[1].pcie.width === 8);
  const { exit, stdout } = nodes();
  t.equal(exit, 1);
  t.match(stdout, /The odd ones out:\n {2}node-c alone: PCIe width x8 on rail1, 3 others x16\n/);
  t.equal(nodes("--ignore", "PCIe width").exit, 0);
  await isSo("the leader has compared", "node-c", ({ conditions }) => conditions[1].status === "True");
  t.equal((await read("node-c")).status.conditions[1].message, "PCIe width x8 on rail1, 3 others x16");
  const pin = (linkMtu: number) =>
    api.raw.apply({ apiVersion: "railnet.io/v1alpha1", kind: "RailNetwork", metadata: { name: "pins" }, spec: { nodeSelector: { no: "node" }, rails: [{ name: "rail0", pf: { names: ["x"] } }], expect: { linkMtu } } }); // biome-ignore format: one row
  const following = { ...named(70), status: { ...(nodeOf(70, ["pins"]) as Json).status } };
  await api.raw.apply(following);
  await pin(9216);
  t.match(nodes().stdout, /server-70 alone: MTU 9000 on rail0, expected 9216\n/);
  t.match(JSON.parse(nodes("--json").stdout).odd.find(({ fact }: Json) => fact === "MTU"), { nodes: ["server-70"], usual: "9216", isExpected: true }); // biome-ignore format: one row
  await isSo("the leader says so, too", "server-70", ({ conditions }) => conditions[1].reason === "NotAsExpected");
  await pin(9000);
  t.notMatch(nodes().stdout, /server-70/);
  await isSo("it is as expected", "server-70", ({ conditions }) => conditions[1].status === "False");
  await api.raw.delete(`${RAIL_NODES}/server-70`);
});

t.test("a node that is deleted and comes back gets a report of its own", async (t) => {
  const before = (await read("node-b")).metadata.uid;
  await api.raw.delete(`${RAIL_NODES}/node-b`); // as the garbage collector does
  second!.tree.setCarrier("rntest0", false);
  await isSo("it is there again", "node-b", ({ rails }) => rails.length === 2);
  t.not((await read("node-b")).metadata.uid, before);
});

t.test("railnet nodes on 64 nodes: nothing where nothing is, else each difference", async (t) => {
  await Promise.all([first, second!, third!].map(({ node }) => node.stop()));
  await api.raw.request("DELETE", RAIL_NODES);
  for (let n = 0; n < 64; n++) await api.raw.apply(named(n));
  const well = nodes();
  t.equal(well.exit, 0, well.stdout);
  t.match(well.stdout, /^64 nodes with rails: \d+ facts are the same on all, 0 are not\n$/);
  const change = (n: number, change: (status: Json) => unknown) => {
    const { status } = structuredClone(nodeOf(n)) as Json;
    change(status);
    return api.raw.apply({ ...named(n), status });
  };
  await change(35, ({ rails }) => (rails[0].firmware = "28.39.1002"));
  await change(7, ({ rails }) => (rails[2].pcie.width = 8));
  const { exit, stdout } = nodes();
  t.equal(exit, 1);
  t.match(stdout, /server-35 alone: firmware 28.39.1002 on rail0, 63 others 28.41.1000\n/);
  t.match(stdout, /server-7 alone: PCIe width x8 on rail2, 63 others x16\n/);
  t.match(JSON.parse(nodes("--json").stdout), {
    odd: [{ nodes: ["server-35"] }, { nodes: ["server-7"] }],
    notReady: [],
  });
  t.match(nodes("--ignore", "colour").stderr, /cannot ignore "colour": there is no such fact; want kernel/);
});

t.test("kubectl explain is worth reading", async (t) => {
  t.match(kubectl("explain", "railnodes.status.rails.pcieRoot"), /Root complex, as resource.kubernetes.io\/pcieRoot names it/); // biome-ignore format: one row
});
