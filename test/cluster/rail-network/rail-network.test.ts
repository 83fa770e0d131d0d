import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer, kubernetes } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAgent, installCrds, installNads, installRailObjects } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { goes, Mesh, type MeshNode } from "../../../lab/netns/mesh.ts";
import { portOfOutside } from "../../../lab/netns/port-of-outside.ts";
import { until } from "../../../lab/until.ts";
import { PfTree } from "../../daemonset/support/pf-tree.ts";
import { testDefinition } from "./support/definition.ts";
import { network, pods, rail } from "./support/objects.ts";

t.setTimeout(600_000);
const RAILNET = new URL("../../../dist/test/railnet", import.meta.url).pathname;
const RAIL_NETWORKS = "/apis/railnet.io/v1alpha1/railnetworks";
const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
await installRailObjects(api.raw);
const token = await installAgent(api);
const admin = api.kubeconfig();
const kubectl = (args: readonly string[], input = "") =>
  execFileSync(kubernetes("kubectl"), ["--kubeconfig", admin, ...args], { encoding: "utf8", input });

testDefinition(t, api);

const proxy = await FaultProxy.start(api);
t.teardown(() => proxy.stop());

/** A node whose sysfs has two PFs of 8 VFs each, and a ConfigMap that knows one of them. */
async function makeAgent(name: string): Promise<{ node: ClusterNode; start: () => Promise<void>; status: () => Json }> {
  await makeNode(api.raw, name);
  const node = new ClusterNode(name, {
    folder: api.folder,
    kubeconfig: api.kubeconfig({ token, server: proxy.url, ca: api.pki.path("ca.crt") }),
  });
  t.teardown(() => node.stop());
  const tree = new PfTree(`${node.folder}/sys`);
  for (const [i, pci] of ["0000:a0:00.0", "0000:b0:00.0"].entries()) {
    tree.addPf({ pci, netdev: `rntest${i}`, driver: "ice" });
    tree.writeNumVfs(pci, 8);
  }
  const config = `${node.folder}/config`;
  mkdirSync(config);
  writeFileSync(`${config}/rails`, "[{name: old, vfs: 8, pf: {names: [rntest0]}}]");
  return {
    node,
    start: () =>
      node.start("--config-dir", config, "--report-seconds", "1", "--grace-seconds", "1", "--device-plugins", ""),
    status: () => JSON.parse(spawnSync(RAILNET, ["status", "--json", "--config-dir", config], { env: { PATH: "/usr/bin:/bin", ...node.env }, encoding: "utf8" }).stdout), // biome-ignore format: one row
  };
}
const railsOf = ({ status }: { status: () => Json }): string[] => status().configured.map(({ rail }: Json) => rail);
const { node, ...agent } = await makeAgent("node-a");
const seen = (rails: readonly string[]) =>
  until(`the rails are ${rails}`, () => JSON.stringify(railsOf(agent)) === JSON.stringify(rails));

t.test("an agent has the ConfigMap's rails until a RailNetwork selects its node", async (t) => {
  await agent.start();
  await seen(["old"]);
  await api.raw.apply(network("other", [rail(0)], { nodeSelector: { kind: "b" } }));
  await api.raw.apply(network("ishikari", [rail(0, { subnet: "192.168.0.0/28" }), rail(1), rail(2)]));
  await seen(["rail0", "rail1"]);
  t.match(agent.status().absent, [{ rail: "rail2", why: "no PF of this node matches its selectors" }]);
  t.match(
    node.log(),
    /"network":"ishikari","rails":\["rail0","rail1","rail2"\],"msg":"this node follows a RailNetwork"/,
  );
});

t.test("the leader says what became of it", async (t) => {
  const read = async () => (await api.raw.get(`${RAIL_NETWORKS}/ishikari`)).status;
  await until("node-a is counted", async () => (await read())?.summary?.vfs === "0/16");
  t.match(await read(), {
    summary: { nodes: "0/1" },
    rails: [{ name: "rail0", ready: 1, nodes: 1, vfs: 8, addresses: 14 }, { name: "rail1" }, { name: "rail2", vfs: 0 }],
    conditions: [
      {
        type: "Ready",
        status: "False",
        reason: "NodesNotReady",
        message: /^node-a: rail2: no PF of this node matches/,
      },
      { type: "AddressesSuffice", status: "True" },
    ],
  });
  t.match(kubectl(["get", "railnetworks"]), /^NAME +READY +NODES +VFS +AGE\nishikari +False +0\/1 +0\/16 /);
});

t.test("of two that claim a name or PF the older one has it; a label brings and takes a RailNetwork", async (t) => {
  await api.raw.merge("/api/v1/nodes/node-a", { metadata: { labels: { kind: "b" } } });
  await until("both are followed", () => /RailNetwork/.test(JSON.stringify(agent.status().absent)));
  t.match(agent.status().absent, [{ rail: "rail0", why: /of RailNetwork (other|ishikari) already has this name/ }, {}]); // biome-ignore format: one row
  await api.raw.merge("/api/v1/nodes/node-a", { metadata: { labels: { kind: null } } });
  await until("one is gone", () => !/RailNetwork/.test(JSON.stringify(agent.status().absent)));
  t.match(node.log(), /"network":"other","msg":"a RailNetwork is gone, or no longer selects this node/);
});

t.test("an agent writes for its node's executables which VFs are governed, and for which namespaces", async (t) => {
  const read = (file: string): Json => {
    const path = `${node.env["RAILNET_STATE_DIR"]}/${file}`;
    return existsSync(path) ? JSON.parse(readFileSync(path, "utf8")) : undefined;
  };
  const namespaces = () => read("rail-networks.json").references.find(({ name }: Json) => name === "ishikari")?.namespaces;
  const label = (name: string, value: string | null) =>
    api.raw.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels: value === null ? {} : { rails: value } } });
  await label("team-a", "allowed");
  await label("team-b", "no");
  const rails = [rail(0, { subnet: "192.168.0.0/28" }), rail(1, { subnet: "192.168.1.0/28" }), rail(2, { subnet: "192.168.2.0/28" })];
  await api.raw.apply(network("ishikari", rails, { pods: { namespaces: { matchLabels: { rails: "allowed" } } } }));
  await until("team-a may", () => namespaces()?.join() === "team-a");
  await label("team-b", "allowed");
  await until("team-b may, too", () => namespaces()?.join() === "team-a,team-b");
  await label("team-b", null);
  await until("team-b may not", () => namespaces()?.join() === "team-a");
  await until("the VFs are told", () => read("governed-rails.json")?.rails.length === 2);
  t.same(read("governed-rails.json").rails, [
    { network: "ishikari", rail: "rail0", resource: "railnet.io/rail0", pf: "0000:a0:00.0" },
    { network: "ishikari", rail: "rail1", resource: "railnet.io/rail1", pf: "0000:b0:00.0" },
  ]);
  await api.raw.merge(`${RAIL_NETWORKS}/ishikari`, { spec: { pods: null } });
  await until("nothing is governed any more", () => read("governed-rails.json") === undefined);
}); // biome-ignore format: rows

const NADS = "/apis/k8s.cni.cncf.io/v1/network-attachment-definitions";
const nadsAre = (...want: readonly string[]) =>
  until(`the networks are ${want}`, async () => {
    const all = await api.raw.list(NADS);
    return JSON.stringify(all.map(({ metadata }) => `${metadata.namespace}/${metadata.name}`).sort()) === JSON.stringify(want); // biome-ignore format: one row
  });
const condition = async (type: string): Promise<Json> =>
  (await api.raw.get(`${RAIL_NETWORKS}/ishikari`)).status?.conditions?.find((one: Json) => one.type === type);
const labelled = (name: string, labels: Json): Json => ({ apiVersion: "v1", kind: "Namespace", metadata: { name, labels } }); // biome-ignore format: one row

t.test(
  "the leader makes the networks of a RailNetwork in the namespaces that it selects, and keeps them right",
  async (t) => {
    await api.raw.apply(labelled("team-a", { rails: "yes" }));
    await api.raw.apply(labelled("team-b", {}));
    const rails = [0, 1, 2].map((n) => rail(n, { subnet: `192.168.${n}.0/28` }));
    const more = { pods: pods({ namespaces: { matchLabels: { rails: "yes" } }, allow: ["ips"] }) };
    await api.raw.apply(network("ishikari", rails, more));
    await until(
      "it says that there is no Multus",
      async () => (await condition("NetworksMade"))?.reason === "NoMultus",
    );
    await installNads(api.raw);
    const made = (namespace: string) => [0, 1, 2].map((n) => `${namespace}/ishikari-rail${n}`);
    await nadsAre(...made("team-a"));
    const path = "/apis/k8s.cni.cncf.io/v1/namespaces/team-a/network-attachment-definitions/ishikari-rail0";
    const { metadata, spec } = await api.raw.get(path);
    const reference = { cniVersion: "1.0.0", name: "ishikari-rail0", type: "railnet-sriov", network: "ishikari", rail: "rail0", capabilities: { ips: true } }; // biome-ignore format: one row
    t.same(JSON.parse(spec.config), reference);
    t.match(metadata, {
      annotations: { "k8s.v1.cni.cncf.io/resourceName": "railnet.io/rail0" },
      ownerReferences: [{ kind: "RailNetwork", name: "ishikari" }],
    });
    await until("it says so", async () => (await condition("NetworksMade"))?.reason === "AllMade");

    await api.raw.merge(path, { spec: { config: JSON.stringify({ ...reference, trust: "on" }) } });
    await until("it is put right", async () => (await api.raw.get(path)).spec.config === spec.config);
    await api.raw.delete(path);
    await nadsAre(...made("team-a"));
    await api.raw.apply(labelled("team-b", { rails: "yes" }));
    await nadsAre(...made("team-a"), ...made("team-b"));
    const { references } = JSON.parse(readFileSync(`${node.env["RAILNET_STATE_DIR"]}/rail-networks.json`, "utf8"));
    t.match(references, [{ name: "ishikari", allow: ["ips"], rails: [{ name: "rail0", config: { ipam: { range: "192.168.0.0/28" } } }, {}, {}] }]); // biome-ignore format: one row
  },
);

t.test("a network that somebody wrote stays, and is told; one whose namespace loses the right goes", async (t) => {
  const theirs = { apiVersion: "k8s.cni.cncf.io/v1", kind: "NetworkAttachmentDefinition", metadata: { name: "ishikari-rail1", namespace: "team-c" }, spec: { config: "{}" } }; // biome-ignore format: one row
  await api.raw.apply(labelled("team-c", { rails: "yes" }));
  await api.raw.apply(theirs);
  await until("its name is told", async () => (await condition("NetworksMade"))?.reason === "NamesTaken");
  t.match(await condition("NetworksMade"), { status: "False", message: /team-c\/ishikari-rail1: it was not written by Railnet, and stays/ }); // biome-ignore format: one row
  await until("there is an event", async () =>
    (await api.raw.list("/api/v1/namespaces/default/events")).some(({ reason }) => reason === "NetworkNameTaken"),
  );
  for (const name of ["team-a", "team-b", "team-c"]) await api.raw.merge(`/api/v1/namespaces/${name}`, { metadata: { labels: { rails: null } } }); // biome-ignore format: one row
  await nadsAre("team-c/ishikari-rail1");
  await until("it says so", () => /"msg":"networks of a RailNetwork were deleted: running pods keep theirs"/.test(node.log())); // biome-ignore format: one row
});

t.test(
  "a leader that is killed between networks of many namespaces is followed by one that ends the work",
  async (t) => {
    const many = Array.from({ length: 40 }, (_, i) => `many-${i}`);
    for (const name of many) await api.raw.apply(labelled(name, { rails: "yes" }));
    const count = async () => (await api.raw.list(NADS)).length;
    await until("it is at work", async () => (await count()) > 5);
    await node.stop("SIGKILL");
    const left = await count();
    t.ok(left < 121, `${left} were made`);
    await agent.start();
    await until("all are there", async () => (await count()) === 121);
    await api.raw.merge(`${RAIL_NETWORKS}/ishikari`, { spec: { pods: null } });
    await nadsAre("team-c/ishikari-rail1");
  },
);

t.test("an agent that starts while the API server is away has its rails as last heard of", async (t) => {
  await node.stop();
  await proxy.stop();
  await agent.start();
  await seen(["rail0", "rail1"]);
  await node.stop();
  t.same(railsOf(agent), ["rail0", "rail1"], "so has railnet status without an agent");
});

t.test("a RailNetwork that is deleted takes nothing away but its offers, and the ConfigMap counts again", async (t) => {
  await api.raw.delete(`${RAIL_NETWORKS}/ishikari`);
  node.writePolicy({ node: "node-a", kubeconfig: api.kubeconfig({ token }), flatFiles: [] });
  await agent.start();
  await seen(["old"]);
  t.match(node.log(), /"network":"ishikari","msg":"a RailNetwork is gone.*running pods keep theirs, and VFs stay/);
  t.equal(agent.status().rails.filter(({ vfs }: Json) => vfs.length === 8).length, 2, "VFs stay");
});

t.test("railnet convert writes the RailNetwork of a ConfigMap, which the server takes as it is", async (t) => {
  const rails = "- name: rail0\n  vfs: 8\n  pf: { names: [rntest0], vendors: ['8086'] }\n  rdma: exclusive\n- { name: r, resource: intel.com/sriov, pf: { names: ['rntest1#0-3'] } }\n"; // biome-ignore format: one row
  await api.raw.apply({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { name: "railnet-config", namespace: "kube-system" },
    data: { rails },
  });
  const ran = spawnSync(RAILNET, ["convert", "--kubeconfig", admin, "--name", "converted"], { encoding: "utf8" });
  t.equal(ran.status, 0, ran.stderr);
  t.match(kubectl(["apply", "--dry-run=server", "-f", "-"], ran.stdout), /railnetwork.railnet.io\/converted created \(server dry run\)/); // biome-ignore format: one row
  t.match(ran.stdout, /'?8086'?/);
  const empty = spawnSync(RAILNET, ["convert", "--rails", "/dev/null"], { encoding: "utf8" });
  t.match(empty.stderr, /cannot convert: the list of rails is empty/);
  t.equal(empty.status, 1);
});

const mesh = await Mesh.create(2);
t.teardown(() => mesh.close());
const LINKS = ["r1", "r2", "r3", "r4"];
const nodeProxy = await FaultProxy.start(api);
t.teardown(() => nodeProxy.stop());
for (const url of [nodeProxy.url, api.url]) {
  const inside = mesh.nodes.map(({ netns }) => netns);
  const port = await portOfOutside(Number(new URL(url).port), api.folder, inside);
  t.teardown(() => port[Symbol.dispose]());
}

/** An agent in a namespace with four rails, on a Node of its address. */
async function makeMeshAgent({ netns, primary }: MeshNode, name: string) {
  await makeNode(api.raw, name);
  const podCIDR = `10.244.${primary.split(".")[3]}.0/24`;
  await api.raw.merge(`/api/v1/nodes/${name}`, { metadata: { labels: { mesh: "yes" } }, spec: { podCIDR, podCIDRs: [podCIDR] } }); // biome-ignore format: one row
  await api.raw.merge(`/api/v1/nodes/${name}/status`, { status: { addresses: [{ type: "InternalIP", address: primary }] } }); // biome-ignore format: one row
  const kubeconfig = api.kubeconfig({ token, server: nodeProxy.url, ca: api.pki.path("ca.crt") });
  const node = new ClusterNode(name, { folder: api.folder, kubeconfig, wrap: ["nsenter", `--net=${netns.path}`] });
  t.teardown(() => node.stop("SIGKILL"));
  const tree = new PfTree(`${node.folder}/sys`);
  for (const [i, netdev] of LINKS.entries()) tree.addPf({ pci: `0000:a${i}:00.0`, netdev, driver: "ice" });
  const start = () => node.start("--config-dir", "/nowhere", "--report-seconds", "0", "--device-plugins", "");
  const routes = (...args: string[]) => spawnSync(...netns.enter(RAILNET, "routes", ...args), { env: { PATH: "/usr/bin:/bin", ...node.env }, encoding: "utf8" }); // biome-ignore format: one row
  return { node, start, routes };
}
const meshNetwork = (nodes: Json) =>
  network("mesh", LINKS.map((name, i) => ({ name: `rail${i}`, pf: { names: [name] } })), { nodeSelector: { mesh: "yes" }, nodes }); // biome-ignore format: one row

t.test(
  "nodes.routes: agents publish themselves, find each other, and send by all rails; off puts all back",
  async (t) => {
    const [a, b] = mesh.nodes as [MeshNode, MeshNode];
    const before = await Promise.all(mesh.nodes.map((node) => node.picture()));
    const [first, second] = [await makeMeshAgent(a, "mesh-a"), await makeMeshAgent(b, "mesh-b")];
    await Promise.all([first.start(), second.start()]);
    t.equal(first.routes().stdout.trim(), "no routes over rails: no RailNetwork of this node asks for them (nodes.routes)"); // biome-ignore format: one row
    await api.raw.apply(meshNetwork({ routes: false }));
    const plan = () => first.routes("plan", "--primary", a.primary).stdout;
    t.match(await until("the plan says what it would set", plan, (text) => text.includes("net.ipv4.conf.r4")), /^set +net\.ipv4\.conf\.eth0\.rp_filter: \d -> 2$/m); // biome-ignore format: one row
    t.match(first.routes("plan").stdout, /InternalIP is not known here yet: give it by --primary/);
    t.same(await a.picture(), before[0], "a plan changes nothing");
    await api.raw.apply(meshNetwork({ routes: true, podCIDRs: true }));
    await goes(a, b, LINKS);
    await goes(b, a, LINKS);

    const peer = await api.raw.get("/apis/railnet.io/v1alpha1/railpeers/mesh-b");
    t.match(peer.metadata.ownerReferences, [{ kind: "Node", name: "mesh-b" }]);
    t.match(peer.spec, { primary: "10.99.0.2", rails: [{ name: "rail0", address: "10.1.0.2/16", mtu: 1500 }, {}, {}, {}] }); // biome-ignore format: one row
    t.match(first.routes().stdout, /^NODE +PRIMARY +BY +RAIL0 .*\nmesh-b +10\.99\.0\.2 +4\/4 rails +up +up +up +up\n$/);
    t.match(first.routes("nobody").stdout, /nobody has no RailPeer/);
    t.match(first.routes("explain", "mesh-b").stdout, /^mesh-b \(10\.99\.0\.2\) goes by 4 of 4 rails\n {2}rail0: used for \d+ s\n/); // biome-ignore format: one row
    t.equal(first.routes("plan").stdout, "nothing: settings and routes are as they would be\n");
    t.same(peer.spec.podCIDRs, ["10.244.2.0/24"]);
    t.match(await a.netns.show("route", "show", "10.244.2.128/25"), [{ protocol: "94", nexthops: Array(4).fill({}) }]);
    t.equal(JSON.parse(first.routes("--json", "mesh-b").stdout).peers[0].ways.length, 4);

    // An agent that starts while the API server is away knows its peers, and goes on asking them.
    await first.node.stop("SIGKILL");
    await nodeProxy.stop();
    t.same(await a.railsTo(b), LINKS);
    await first.start();
    await mesh.silence(2, 3, false);
    await goes(a, b, ["r1", "r2", "r4"]);
    t.match(first.routes().stdout, /3\/4 rails +up +up +down \d+s +up/);
    await mesh.silence(2, 3, true);
    await goes(a, b, LINKS);
    await goes(b, a, LINKS);
    t.equal((await api.raw.get("/apis/railnet.io/v1alpha1/railpeers/mesh-b")).metadata.generation, 1, "health is not published"); // biome-ignore format: one row

    for (const { node } of [first, second]) {
      await node.stop(); // SIGTERM leaves routes
      node.writePolicy({ node: node.name, kubeconfig: api.kubeconfig({ token }), flatFiles: [] });
    }
    t.same([await a.railsTo(b), await b.railsTo(a)], [LINKS, LINKS]);
    await Promise.all([first.start(), second.start()]);
    await api.raw.merge(`${RAIL_NETWORKS}/mesh`, { spec: { nodes: { routes: false } } });
    await until("RailPeers are gone", async () => (await api.raw.list("/apis/railnet.io/v1alpha1/railpeers")).length === 0); // biome-ignore format: one row
    for (const [i, node] of mesh.nodes.entries())
      await until(`node ${node.n} is as before`, async () => JSON.stringify(await node.picture()) === JSON.stringify(before[i])); // biome-ignore format: one row
  },
);
