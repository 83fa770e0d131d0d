import t, { type Test } from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import {
  installAgent,
  installCrds,
  installNads,
  installPolicies,
  installRailObjects,
} from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import { type Json, pathOf } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { OBJECTS } from "../kubernetes/support/reservation.ts";
import { testAdmission } from "./support/admission.ts";
import {
  event,
  foreign,
  forged,
  lease,
  MINE,
  NAD_CONFIG,
  nad,
  OTHER,
  railNetwork,
  railNode,
  reservation,
  whereabouts,
} from "./support/objects.ts";

// What somebody can do who has stolen all credentials of node-a: every right that the rules give them is tried, on what is
// another node's and the control plane's.

t.setTimeout(600_000);
const api = await ApiServer.start({ small: false });
t.teardown(() => api.stop());
await installCrds(api.raw);
await installRailObjects(api.raw);
await installNads(api.raw);
await installAgent(api);
await installPolicies(api);
const SYSTEM = "/api/v1/namespaces/kube-system";

/** A token of the agent's pod on a node, as the kubelet gets it. */
async function ofPod(node: string): Promise<string> {
  await makeNode(api.raw, node);
  const name = `railnet-${node}`;
  const spec = { nodeName: node, serviceAccountName: "railnet", containers: [{ name: "agent", image: "none" }] };
  const { metadata } = await api.raw.apply({
    apiVersion: "v1",
    kind: "Pod",
    metadata: { name, namespace: "kube-system" },
    spec,
  });
  return requestToken("railnet", { apiVersion: "v1", kind: "Pod", name, uid: metadata.uid });
}
const requestToken = async (account: string, boundObjectRef: object): Promise<string> =>
  (await api.raw.post(`${SYSTEM}/serviceaccounts/${account}/token`, tokenRequest({ boundObjectRef }))).status.token;
const tokenRequest = (spec: object): Json => ({
  apiVersion: "authentication.k8s.io/v1",
  kind: "TokenRequest",
  spec: { expirationSeconds: 3600, ...spec },
});
const nodeRef = async (name: string) => {
  const { metadata } = await api.raw.get(`/api/v1/nodes/${name}`);
  return { apiVersion: "v1", kind: "Node", name, uid: metadata.uid };
};

const agents = { [MINE]: await ofPod(MINE), [OTHER]: await ofPod(OTHER) };
const executables = await requestToken("railnet-node", await nodeRef(MINE));

const saysOfNetwork = (token: string, body: Json) =>
  api.raw.request("PATCH", `${pathOf(railNetwork)}/status`, {
    body,
    contentType: "application/merge-patch+json",
    token,
  });

for (const object of foreign) await api.raw.apply(object);

const isThere = async (object: Json) => (await api.raw.request("GET", pathOf(object))).status === 200;
const version = async (object: Json): Promise<string> => {
  const { metadata } = await api.raw.get(pathOf(object));
  return `${metadata.uid} ${metadata.resourceVersion}`;
};

interface Rule {
  readonly verbs: readonly string[];
  readonly apiGroups: readonly string[];
  readonly resources: readonly string[];
  readonly resourceNames?: readonly string[];
}
async function rulesOf(token: string, namespace: string): Promise<Rule[]> {
  const body = { apiVersion: "authorization.k8s.io/v1", kind: "SelfSubjectRulesReview", spec: { namespace } };
  const path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews";
  return (await api.raw.request("POST", path, { body, token })).body.status.resourceRules;
}

/** Every account has these; they change nothing. */
const HARMLESS = /^(selfsubject(access|rules)reviews|selfsubjectreviews)$/;
/** Rights of a node's credentials that change something: anything else in the rules fails the test. */
const KNOWN: Readonly<Record<string, RegExp>> = {
  overlappingrangeipreservations: /^(create|patch|delete)$/,
  ippools: /^(create|patch)$/,
  nodeslicepools: /^(create|update|patch|delete)$/,
  leases: /^(create|update|patch|delete)$/,
  configmaps: /^(create|update|patch)$/,
  "serviceaccounts/token": /^create$/,
  events: /^(create|patch)$/,
  railnodes: /^(create|patch)$/,
  railpeers: /^(create|patch|delete)$/,
  "railnetworks/status": /^patch$/,
  leaders: /^lead$/,
  "network-attachment-definitions": /^(create|patch|delete)$/,
};
const READS = /^(get|list|watch)$/;

async function tryEverything(t: Test, token: string): Promise<void> {
  for (const namespace of ["kube-system", "default"])
    for (const { verbs, resources } of await rulesOf(token, namespace))
      for (const resource of resources.filter((one) => !HARMLESS.test(one)))
        for (const verb of verbs.filter((one) => !READS.test(one)))
          t.match(verb, KNOWN[resource] ?? /no such right/, `${verb} ${resource} in ${namespace} is tried below`);
  const patches: readonly [string, unknown][] = [
    ["application/merge-patch+json", { metadata: { labels: { "railnet.io/node": MINE } } }],
    ["application/merge-patch+json", { metadata: { annotations: { "railnet.io/node": MINE, "railnet.io/adopted": null } } }],
    ["application/merge-patch+json", { spec: { allocations: null, range: "10.0.0.0/8", holderIdentity: `${MINE}_1`, podref: "a/b" } }],
    ["application/merge-patch+json", { spec: { allocations: { 2: null, 3: { id: "c", podref: "a/b" } } } }],
    ["application/merge-patch+json", { data: { rails: "[1]", other: "x" }, message: "mine", source: { host: MINE } }],
    ["application/json-patch+json", [{ op: "add", path: "/metadata/finalizers", value: ["railnet.io/mine"] }]],
    ["application/json-patch+json", [{ op: "replace", path: "/status/allocations/0/nodeName", value: MINE }]],
    ["application/merge-patch+json", { status: { allocations: [] } }],
    ["application/merge-patch+json", { status: { rails: [] } }],
    ["application/merge-patch+json", { status: { node: { kernel: "5.15" } } }],
    ["application/merge-patch+json", { status: { conditions: [] } }],
    ["application/merge-patch+json", { metadata: { ownerReferences: null } }],
  ]; // biome-ignore format: rows
  for (const object of foreign) {
    const before = await version(object);
    const what = `${object.kind} ${object.metadata.name}`;
    for (const [contentType, body] of patches) {
      const { status } = await api.raw.request("PATCH", pathOf(object), { body, contentType, token });
      if ((await version(object)) !== before) t.fail(`PATCH ${what} ${JSON.stringify(body)}: ${status}`);
    }
    const now = await api.raw.get(pathOf(object));
    const changed = { ...now, metadata: { ...now.metadata, labels: { "railnet.io/node": MINE } } };
    await api.raw.request("PUT", pathOf(object), { body: changed, token });
    await api.raw.request("DELETE", pathOf(object), { token });
    await api.raw.request("DELETE", pathOf(object).replace(/\/[^/]*$/, ""), { token });
    t.equal(await version(object), before, `${what} is as it was`);
  }
  for (const object of forged) {
    const { status, body } = await api.raw.request("POST", pathOf(object).replace(/\/[^/]*$/, ""), {
      body: object,
      token,
    });
    t.equal(status, 403, `POST ${object.kind} ${object.metadata.name}: ${body.message}`);
    t.notOk(await isThere(object));
  }
  await tryTokens(t, token);
}

async function tryTokens(t: Test, token: string): Promise<void> {
  const own = await nodeRef(MINE);
  const requests: readonly [string, object][] = [
    ["railnet", { boundObjectRef: own }],
    ["railnet", {}],
    ["default", {}],
    ["railnet-node", {}],
    ["railnet-node", { boundObjectRef: await nodeRef(OTHER) }],
    ["railnet-node", { boundObjectRef: own, expirationSeconds: 10 * 365 * 86_400 }],
  ];
  for (const [account, spec] of requests) {
    const path = `${SYSTEM}/serviceaccounts/${account}/token`;
    const { status } = await api.raw.request("POST", path, { body: tokenRequest(spec), token });
    t.equal(status, 403, `a token of ${account} ${JSON.stringify(spec)}`);
  }
}

/** Rules and policies are in force a moment after they were made. */
const isInForce = (token: string) =>
  until("the policies are in force", async () => {
    const { status } = await api.raw.request("DELETE", `${pathOf(foreign[0]!)}?dryRun=All`, { token });
    return status === 403;
  });

/** What a node does to its own. */
async function tryOwn(t: Test, token: string): Promise<void> {
  const own = reservation("10.0.0.77", MINE);
  t.equal((await api.raw.request("POST", `${OBJECTS}/overlappingrangeipreservations`, { body: own, token })).status, 201);
  const body = { spec: { containerid: "d" } };
  const patched = await api.raw.request("PATCH", pathOf(own), { body, contentType: "application/merge-patch+json", token });
  t.equal(patched.status, 200);
  t.equal((await api.raw.request("DELETE", pathOf(own), { token })).status, 200);
  const pool = whereabouts("IPPool", `10.77.${token.length % 200}.0-24`, { spec: { range: "10.77.0.0/24", allocations: {} } });
  t.equal((await api.raw.request("POST", `${OBJECTS}/ippools`, { body: pool, token })).status, 201);
  await api.raw.delete(pathOf(pool));
  for (const [nodeName, was] of [[MINE, ""], ["", MINE]]) {
    const path = "/status/allocations/1/nodeName";
    const take = [{ op: "test", path, value: was }, { op: "replace", path, value: nodeName }];
    const taken = await api.raw.request("PATCH", `${OBJECTS}/nodeslicepools/rail0`, { body: take, contentType: "application/json-patch+json", token });
    t.equal(taken.status, 200, "a free slice");
  }
} // biome-ignore format: rows

t.test("what pods use does not change by itself: the server says who has it, and what to do", async (t) => {
  const rail = (n: number, more: Json = {}): Json => ({
    name: `rail${n}`,
    pf: { names: [`ens${n}`] },
    vfs: 8,
    ...more,
  });
  const rails = [0, 1].map((n) => rail(n, { subnet: `192.168.${n}.0/24` }));
  await api.raw.apply({ ...railNetwork, metadata: { name: "held" }, spec: { rails, nodeSelector: { kind: "none" } } });
  const path = pathOf({ ...railNetwork, metadata: { name: "held" } });
  const contentType = "application/merge-patch+json";
  const used = {
    rails: [
      { name: "rail0", used: 3, users: "node-x, node-y" },
      { name: "rail1", used: 0 },
    ],
  };
  await api.raw.request("PATCH", `${path}/status`, { body: { status: used }, contentType });
  const change = async (spec: Json) => {
    const { status, body } = await api.raw.request("PATCH", `${path}?dryRun=All`, { body: { spec }, contentType });
    return { status, message: body.message ?? "" };
  };
  const message = /rails that pods use, or these would go: rail0 \(VFs in use: 3, on node-x, node-y\)\. Those pods keep what they have.*spec\.changeInUse/; // biome-ignore format: one row
  const other = rail(0, { subnet: "10.0.0.0/24" });
  await until("the policy is in force", async () => (await change({ rails: [other, rails[1]] })).status !== 200);
  t.match(await change({ rails: [other, rails[1]] }), { status: 422, message }, "another subnet");
  t.match(await change({ rails: [rail(0), rails[1]] }), { status: 422, message }, "none");
  t.match(await change({ rails: [{ ...rails[0], pf: { names: ["x"] } }, rails[1]] }), { status: 422, message });
  t.match(await change({ rails: [{ ...rails[0], resource: "a.b/c" }, rails[1]] }), { status: 422, message });
  t.match(await change({ rails: [rails[1]] }), { status: 422, message }, "a rail that goes");
  t.equal((await change({ rails: [rails[0], rail(1, { subnet: "10.0.0.0/24" })] })).status, 200, "nobody uses that");
  t.equal((await change({ rails: [rails[0]] })).status, 200);
  const harmless = { ...rails[0], vfs: 4, mtu: 1500, exclude: ["192.168.0.7"] };
  t.equal((await change({ rails: [harmless, rails[1], rail(2)] })).status, 200, "VFs wait until nobody has them");
  t.equal((await change({ rails: [other], changeInUse: ["rail0"] })).status, 200, "as somebody wants it");
  await api.raw.delete(path);
});

t.test("the token of a node's executables reaches its own node's addresses, and nothing else", async (t) => {
  await isInForce(executables);
  await tryEverything(t, executables);
  await tryOwn(t, executables);
});

t.test("an agent's token of a node that may not lead reaches its own node's addresses, and nothing else", async (t) => {
  const role = await api.raw.get("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/railnet");
  const rules = role.rules.map((rule: Rule) =>
    rule.resources.includes("leaders") ? { ...rule, resourceNames: [OTHER] } : rule,
  );
  await api.raw.merge("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/roles/railnet", { rules });
  await isInForce(agents[MINE]);
  await tryEverything(t, agents[MINE]);
  await tryOwn(t, agents[MINE]);
  const report = await api.raw.request("POST", "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases", {
    body: lease(`railnet-node-${MINE}`, MINE),
    token: agents[MINE],
  });
  t.equal(report.status, 201, "it reports");
  const said = await api.raw.request("POST", "/api/v1/namespaces/default/events", {
    body: event("own", MINE),
    token: agents[MINE],
  });
  t.equal(said.status, 201, "it says what happened");
  const body = tokenRequest({ boundObjectRef: await nodeRef(MINE), expirationSeconds: 86_400 });
  const asked = await api.raw.request("POST", `${SYSTEM}/serviceaccounts/railnet-node/token`, {
    body,
    token: agents[MINE],
  });
  t.equal(asked.status, 201, "and keeps the kubeconfig of its node");
  const settings = (metadata: object) =>
    api.raw.request("PATCH", `${SYSTEM}/configmaps/railnet-config`, {
      body: { metadata },
      contentType: "application/merge-patch+json",
      token: agents[MINE],
    });
  t.equal((await settings({ annotations: { "railnet.io/healing": "2026-01-01T00:00:00Z node-a: why" } })).status, 200);
  t.equal((await settings({ labels: { a: "b" } })).status, 403, "nothing else is said by a node");
  const made = await api.raw.request("POST", "/apis/railnet.io/v1alpha1/railnodes", {
    body: railNode(MINE),
    token: agents[MINE],
  });
  t.equal(made.status, 201, "it says what its node has");
  t.equal((await railNodeBy(agents[MINE], MINE, { status: { rails: [] } })).status, 200);
  t.equal(
    (await saysOfNetwork(agents[MINE], { status: { summary: { nodes: "9/9" } } })).status,
    403,
    "but nothing of all",
  );
});

const railPeer = (name: string, primary: string, owner = name): Json => ({
  apiVersion: "railnet.io/v1alpha1",
  kind: "RailPeer",
  metadata: { name, ownerReferences: [{ apiVersion: "v1", kind: "Node", name: owner, uid: "u" }] },
  spec: { primary, rails: [{ name: "rail0", address: "10.1.0.1/16", mac: "02:00:00:00:00:01", mtu: 9000 }] },
});

t.test("an agent publishes where its own node's traffic goes, at its own InternalIP, and nobody else's", async (t) => {
  for (const [i, name] of [MINE, OTHER].entries())
    await api.raw.merge(`/api/v1/nodes/${name}/status`, { status: { addresses: [{ type: "InternalIP", address: `10.99.0.${i + 1}` }] } }); // biome-ignore format: one row
  const path = "/apis/railnet.io/v1alpha1/railpeers";
  const create = (token: string, body: Json) => api.raw.request("POST", path, { body, token });
  const change = (token: string, name: string, spec: Json) =>
    api.raw.request("PATCH", `${path}/${name}`, { body: { spec }, contentType: "application/merge-patch+json", token });
  const remove = (token: string, name: string) => api.raw.request("DELETE", `${path}/${name}`, { token });
  await until("the policy knows the addresses", async () => (await create(agents[MINE], railPeer(MINE, "10.99.0.1"))).status === 201); // biome-ignore format: one row
  const stolen = await create(agents[OTHER], railPeer(OTHER, "10.96.0.1"));
  t.match([stolen.status, stolen.body.message], [403, /primary 10\.96\.0\.1 is not the InternalIP of node node-b/]);
  t.equal((await create(agents[OTHER], railPeer(OTHER, "10.99.0.1"))).status, 403, "that of another node");
  t.equal((await create(agents[OTHER], railPeer("node-c", "10.99.0.2"))).status, 403, "in another name");
  t.equal((await create(agents[OTHER], railPeer(OTHER, "10.99.0.2", "node-c"))).status, 403, "owned by another node");
  t.equal((await create(agents[OTHER], railPeer(OTHER, "10.99.0.2"))).status, 201);
  t.equal((await change(agents[OTHER], OTHER, { primary: "10.99.0.1" })).status, 403);
  t.equal((await change(agents[OTHER], MINE, { rails: [] })).status, 403);
  t.equal((await remove(agents[OTHER], MINE)).status, 403);
  t.equal((await remove(agents[MINE], MINE)).status, 200);
});

const railNodeBy = (token: string, name: string, body: Json) =>
  api.raw.request("PATCH", `/apis/railnet.io/v1alpha1/railnodes/${name}`, {
    body,
    contentType: "application/merge-patch+json",
    token,
  });

t.test("an agent of a node that may lead frees, records and says whether Whereabouts is there", async (t) => {
  const token = agents[OTHER];
  const body = { data: { whereabouts: "coexist" } };
  const contentType = "application/merge-patch+json";
  t.equal((await api.raw.request("DELETE", pathOf(reservation("10.0.0.3", undefined)), { token })).status, 200);
  t.equal((await api.raw.request("PATCH", `${SYSTEM}/configmaps/railnet-config`, { body, contentType, token })).status, 200);
  const rails = { data: { rails: "[1]" } };
  t.equal((await api.raw.request("PATCH", `${SYSTEM}/configmaps/railnet-config`, { body: rails, contentType, token })).status, 403);
  const record = { spec: { allocations: { 2: null } } };
  t.equal((await api.raw.request("PATCH", `${OBJECTS}/ippools/10.0.0.0-24`, { body: record, contentType, token })).status, 200);
  t.equal((await api.raw.request("DELETE", pathOf(lease(`railnet-node-${OTHER}`, OTHER)), { token })).status, 200);
  t.equal((await api.raw.request("DELETE", pathOf(lease("kube-controller-manager", "")), { token })).status, 403);
  const { conditions: [ready] } = railNode(MINE).status;
  const drift = { type: "Drift", status: "True", reason: "NotLikeOthers", message: "x", lastTransitionTime: ready.lastTransitionTime };
  t.equal((await railNodeBy(token, MINE, { status: { conditions: [ready, drift] } })).status, 200, "it compares nodes");
  t.equal((await railNodeBy(token, MINE, { status: { conditions: [{ ...ready, status: "False" }, drift] } })).status, 403);
  t.equal((await railNodeBy(token, MINE, { status: { node: { kernel: "5.15" } } })).status, 403);
  t.equal((await api.raw.request("DELETE", pathOf(railNode(MINE)), { token })).status, 403);
  t.equal((await saysOfNetwork(token, { status: { summary: { nodes: "1/1" } } })).status, 200, "it says what became of rails");
  await saysOfNetwork(token, { metadata: { labels: { a: "b" } }, spec: { rails: [{ name: "mine", pf: { names: ["x"] } }] } });
  const { metadata, spec } = await api.raw.get(pathOf(railNetwork));
  t.same([metadata.labels, spec.rails[0].name], [undefined, "rail0"], "and not which there are");
  const making = async (object: Json) => (await api.raw.request("POST", pathOf(object).replace(/\/[^/]*$/, ""), { body: object, token })).status;
  t.equal(await making(nad("ishikari-rail0", { ...NAD_CONFIG, capabilities: { ips: true, mac: true } })), 201, "it makes networks");
  t.equal(await making(nad("x", { ...NAD_CONFIG, type: "host-device" })), 403, "none of another plugin");
  t.equal(await making(nad("x", { ...NAD_CONFIG, trust: "on" })), 403, "none that says more");
  t.equal(await making(nad("x", NAD_CONFIG, false)), 403, "none without marks");
  const others = pathOf(nad("theirs", {}));
  t.equal((await api.raw.request("PATCH", others, { body: nad("theirs", NAD_CONFIG), contentType, token })).status, 403, "nor takes over one that somebody wrote");
  t.equal((await api.raw.request("DELETE", others, { token })).status, 403);
  t.equal((await api.raw.request("DELETE", pathOf(nad("ishikari-rail0", {})), { token })).status, 200);
}); // biome-ignore format: rows

t.test("pods with the label, and what tenants may write beside RailNetworks", async (t) => {
  await api.raw.delete(pathOf(railNetwork));
  await testAdmission(t, api);
});
