import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer, kubernetes } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { must } from "../../../lab/netns/run.ts";
import { until } from "../../../lab/until.ts";

// Railnet in a namespace of its own, as docs/operate.md says: real kubectl and kustomize, the real agent with the service
// account of its pod, and what somebody can do who has stolen a node's token.

t.setTimeout(600_000);
const PROJECT = new URL("../../../", import.meta.url).pathname;
const DIST = process.env["RAILNET_TEST_DIST"] ?? `${PROJECT}dist/test`;
const NAMESPACE = "railnet";
const CORE = `/api/v1/namespaces/${NAMESPACE}`;
const LEASES = `/apis/coordination.k8s.io/v1/namespaces/${NAMESPACE}/leases`;
const OBJECTS = `/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/${NAMESPACE}`;

const api = await ApiServer.start({ small: false });
const nodes: ClusterNode[] = [];
t.teardown(async () => {
  for (const node of nodes) await node.stop();
  await api.stop();
});
const { raw } = api;
const env = { HOME: api.folder, KUBECONFIG: api.kubeconfig() };
const kubectl = (...args: string[]) => must(kubernetes("kubectl"), args, { env });

/** The lines of docs/operate.md, in a folder beside a copy of manifests/. */
function kustomization(): string {
  const folder = `${api.folder}/kustomization`;
  mkdirSync(folder);
  cpSync(`${PROJECT}manifests`, `${folder}/manifests`, { recursive: true });
  const [text] = /^ *apiVersion: kustomize(?:.|\n)*?\n(?=\n|```)/m.exec(
    readFileSync(`${PROJECT}docs/operate.md`, "utf8"),
  )!;
  writeFileSync(`${folder}/kustomization.yaml`, text.replaceAll(/^ {4}/gm, ""));
  return folder;
}

t.test("kubectl applies it, twice, and nothing of it is in kube-system", async (t) => {
  await kubectl("create", "namespace", NAMESPACE);
  const folder = kustomization();
  await kubectl("apply", "-k", folder);
  const again = (await kubectl("apply", "-k", folder)).split("\n").filter((line) => !/ unchanged$/.test(line));
  t.notMatch(again.join("\n"), /created/, "an upgrade is no other cluster");
  for (const path of ["configmaps/railnet-config", "serviceaccounts/railnet", "serviceaccounts/railnet-node"]) {
    t.equal((await raw.request("GET", `${CORE}/${path}`)).status, 200, path);
    t.equal((await raw.request("GET", `/api/v1/namespaces/kube-system/${path}`)).status, 404, path);
  }
  t.equal((await raw.request("GET", `/apis/apps/v1/namespaces/${NAMESPACE}/daemonsets/railnet`)).status, 200);
});

const request = async (account: string, boundObjectRef: object): Promise<string> => {
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { expirationSeconds: 3600, boundObjectRef },
  };
  return (await raw.post(`${CORE}/serviceaccounts/${account}/token`, body)).status.token;
};

/** A token as the kubelet gets it for the agent's pod of a node. */
async function tokenOfAgent(node: string): Promise<string> {
  const name = `railnet-${node}`;
  const spec = { nodeName: node, serviceAccountName: "railnet", containers: [{ name: "agent", image: "none" }] };
  const { metadata } = await raw.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: NAMESPACE },
    spec,
  });
  return request("railnet", { apiVersion: "v1", kind: "Pod", name, uid: metadata.uid });
}

/** What a build gives, with a stand-in for the full executable. */
const from = `${api.folder}/from`;
mkdirSync(from);
writeFileSync(`${from}/railnet`, "full");
writeFileSync(`${from}/railnet-shim`, "railnet-host-exec");

/** Executables that see what the kubelet gives the agent's pod, and what the agent's installation leaves on the node. */
function onNode(node: string, token: string): { readonly dist: string; readonly root: string } {
  const [dist, secrets, root] = ["bin", "secrets", "root"].map((name) => `${api.folder}/of-${node}/${name}`) as [
    string,
    string,
    string,
  ];
  for (const folder of [dist, secrets, `${root}/etc/railnet`]) mkdirSync(folder, { recursive: true });
  cpSync(api.pki.path("ca.crt"), `${secrets}/ca.crt`);
  writeFileSync(`${secrets}/token`, token);
  writeFileSync(`${secrets}/namespace`, NAMESPACE);
  const at = "/run/secrets/kubernetes.io/serviceaccount";
  const inPod = `mount -t tmpfs none /run && mkdir -p ${at} && mount --bind ${secrets} ${at}`;
  const alone = `mount -t tmpfs none /etc && mkdir /etc/railnet && mount --bind ${root}/etc/railnet /etc/railnet`;
  for (const [name, prepare] of [["railnet", inPod], ["railnet-ipam", alone]]) {
    const script = `#!/bin/sh\nexec unshare --mount sh -c '${prepare} && exec ${DIST}/${name} "$@"' ${name} "$@"\n`;
    writeFileSync(`${dist}/${name}`, script, { mode: 0o755 });
  } // biome-ignore format: rows
  return { dist, root };
}

const tokens: Record<string, string> = {};
const of = (name: string): ClusterNode => nodes.find((node) => node.name === name)!;

t.test("agents run there by their pods' service account: their reports and the leader's lease are in it", async (t) => {
  for (const name of ["node-a", "node-b"]) {
    await makeNode(raw, name);
    tokens[name] = await tokenOfAgent(name);
    const { dist, root } = onNode(name, tokens[name]);
    const { hostname, port } = new URL(api.url);
    const env = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port, NODENAME: name };
    const node = new ClusterNode(name, { folder: api.folder, kubeconfig: "/etc/railnet/kubeconfig", env, dist });
    nodes.push(node);
    await node.start("--install", "--root", root, "--from", from);
    const { contexts } = JSON.parse(readFileSync(`${root}/etc/railnet/kubeconfig`, "utf8"));
    t.match(contexts, [{ context: { user: "railnet-node", namespace: NAMESPACE } }], "for when no agent runs");
  }
  const leases = async () => (await raw.list(LEASES)).map(({ metadata }: Json) => metadata.name).sort();
  await until(
    "both report and one leads",
    async () => `${await leases()}` === "railnet-leader,railnet-node-node-a,railnet-node-node-b",
  );
  t.same(
    (await raw.list("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases")).filter(({ metadata }: Json) =>
      metadata.name.startsWith("railnet"),
    ),
    [],
  );
  for (const node of nodes) t.notMatch(node.log(), /forbidden|40[13]/i, node.name);
});

const config = { cniVersion: "1.1.0", name: "rail0-net", ipam: { type: "railnet-ipam", range: "10.9.0.0/24" } };
const reservations = async () =>
  (await raw.list(`${OBJECTS}/overlappingrangeipreservations`))
    .map(({ metadata, spec }: Json) => `${metadata.name} ${spec.podref} ${metadata.labels["railnet.io/node"]}`)
    .sort();

t.test("ADD and DEL work there, with an agent and without", async (t) => {
  const ids: Record<string, Json> = {};
  for (const [id, name] of [["a1", "node-a"], ["b1", "node-b"], ["a2", "node-a"]] as const) {
    const { uid } = (await makePod(raw, id, { node: name })).metadata;
    ids[id] = { id, pod: id, uid };
  } // biome-ignore format: rows
  t.match(await of("node-a").call("ADD", config, ids["a1"]), { exit: 0, json: { ips: [{ address: "10.9.0.1/24" }] } });
  t.match(await of("node-b").call("ADD", config, ids["b1"]), { exit: 0 });
  const alone = await of("node-a").alone("ADD", config, ids["a2"]);
  t.match(alone, { exit: 0 }, JSON.stringify(alone.json));
  t.match((await reservations()).map((one: string) => one.replace(/^\S+ /, "")).sort(), [
    "default/a1 node-a",
    "default/a2 node-a",
    "default/b1 node-b",
  ]);
  t.match(
    await raw.list("/apis/whereabouts.cni.cncf.io/v1alpha1/overlappingrangeipreservations"),
    { length: 3 },
    "none elsewhere",
  );
  t.equal((await of("node-a").alone("DEL", config, ids["a2"])).exit, 0);
  t.equal((await of("node-a").call("DEL", config, ids["a1"])).exit, 0);
  await until("both are given back", async () => (await reservations()).length === 1);
  t.match(await reservations(), [/default\/b1 node-b$/], "b1 has its own");
});

t.test("a stolen token of a node does not reach another node's reservation, report or settings there", async (t) => {
  const { metadata } = await raw.get("/api/v1/nodes/node-a");
  const executables = await request("railnet-node", { apiVersion: "v1", kind: "Node", name: "node-a", uid: metadata.uid });
  await kubectl("-n", NAMESPACE, "patch", "role", "railnet", "--type=json", "-p", limitLeaders(await raw.get(`/apis/rbac.authorization.k8s.io/v1/namespaces/${NAMESPACE}/roles/railnet`), "node-b"));
  const [{ metadata: { name } }] = await raw.list(`${OBJECTS}/overlappingrangeipreservations`);
  const path = `${OBJECTS}/overlappingrangeipreservations/${name}`;
  const merge = "application/merge-patch+json";
  for (const token of [executables, tokens["node-a"]!]) {
    const remove = () => raw.request("DELETE", `${path}?dryRun=All`, { token });
    await until("the rules are in force", async () => (await remove()).status === 403);
    const { status, body } = await raw.request("DELETE", path, { token });
    t.match({ status, said: body.message }, { status: 403, said: /is of node node-b, and the token of node-a/ });
    for (const patch of [{ spec: { podref: "default/mine" } }, { metadata: { labels: { "railnet.io/node": "node-a" } } }])
      t.equal((await raw.request("PATCH", path, { body: patch, contentType: merge, token })).status, 403);
    const more: readonly [string, string, Json?][] = [
      ["DELETE", `${LEASES}/railnet-node-node-b`],
      ["PATCH", `${LEASES}/railnet-node-node-b`, { spec: { holderIdentity: "x" } }],
      ["PATCH", `${CORE}/configmaps/railnet-config`, { data: { whereabouts: "coexist" } }],
      ["GET", "/api/v1/namespaces/kube-system/configmaps"],
      ["PATCH", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-controller-manager", { spec: { holderIdentity: "x" } }],
    ]; // biome-ignore format: rows
    for (const [method, at, patch] of more)
      t.equal((await raw.request(method, at, { body: patch, contentType: merge, token })).status, 403, `${method} ${at}`);
  }
  t.match(await reservations(), [/default\/b1 node-b$/]);
}); // biome-ignore format: rows

function limitLeaders({ rules }: Json, node: string): string {
  const index = rules.findIndex(({ resources }: Json) => resources.includes("leaders"));
  return JSON.stringify([{ op: "add", path: `/rules/${index}/resourceNames`, value: [node] }]);
}
