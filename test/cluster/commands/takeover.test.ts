import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { reportMode } from "../../../daemonset/addresses/node/report.ts";
import { connect } from "../../../ipam/connect.ts";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { makePool, makeReservation, OBJECTS, recordsOf, reservationNames } from "./support/objects.ts";
import { ipam } from "./support/railnet.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
const { raw } = api;
await installCrds(raw, "upstream"); // as Whereabouts left them
const kubeconfig = api.kubeconfig();
const takeover = (...args: string[]) => ipam(["takeover", ...args, "--json", "--kubeconfig", kubeconfig]);
const SETTINGS = "/api/v1/namespaces/kube-system/configmaps/railnet-config";
const setting = async (): Promise<string> => (await raw.request("GET", SETTINGS)).body.data?.whereabouts ?? "none";
const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

const POOL = "10.20.0.0-16";
for (const node of ["node-a", "node-b"]) await makeNode(raw, node);
const pod = await makePod(raw, "first", { node: "node-a" });
await makePool(raw, POOL, "10.20.0.0/16", {
  1: { podref: "default/first" },
  2: { podref: "default/second" },
  3: { podref: "default/third" },
});
await makeReservation(raw, "10.20.0.1", { podref: "default/first" });
await makeReservation(raw, "10.20.0.2", { podref: "default/second" });

t.test("railnet ipam takeover says what is true and what is next, and changes nothing", async (t) => {
  const { exit, json } = await takeover();
  t.equal(exit, 0);
  t.match(json, {
    mode: "coexist",
    whereabouts: { isLive: false, leaseRenewed: "" },
    agents: [],
    next: "railnet ipam takeover adopt",
  });
  t.same(json.pools, [
    {
      pool: POOL,
      isAdopted: false,
      isNamed: true,
      records: 3,
      reservations: 2,
      unreserved: 1,
      unrecorded: 0,
      stuck: 0,
      disputed: 0,
    },
  ]);
  t.same(json.nodesWithoutAgent, ["node-a", "node-b"]);
  t.equal(json.obstacles.length, 2);
  t.equal(await setting(), "none");
});

t.test("railnet ipam takeover finish refuses, naming everything that is missing", async (t) => {
  const { exit, json } = await takeover("finish");
  t.equal(exit, 1);
  t.match(json.obstacles, [/^pool 10\.20\.0\.0-16: 1 record has no reservation/, /^no agent has reported/]);
  t.equal(await setting(), "none");
});

t.test("railnet ipam takeover adopt makes and completes reservations, and may run again", async (t) => {
  const { exit, json } = await takeover("adopt");
  t.equal(exit, 0);
  t.equal(json.did, "3 reservations made or completed");
  t.same(await reservationNames(raw), ["10.20.0.1", "10.20.0.2", "10.20.0.3"]);
  const list = await raw.list(`${OBJECTS}/overlappingrangeipreservations`);
  t.same(
    list.map(({ spec }: Json) => spec.containerid),
    ["c-first", "c-second", "c-third"],
  );
  const uid = pod.metadata.uid;
  t.match(list[0].metadata.labels, { "railnet.io/pod-uid": uid, "railnet.io/node": "node-a", "railnet.io/pool": POOL });
  t.same(Object.keys(await recordsOf(raw, POOL)), ["1", "2", "3"], "records are as they were");
  t.equal((await takeover("adopt")).json.did, "0 reservations made or completed");
});

t.test("reportMode() writes one lease for each agent, which takeover reads", async (t) => {
  const cluster = await connect({ kubeconfig });
  await reportMode(cluster, "node-a", { mode: "coexist" });
  await reportMode(cluster, "node-b", { mode: "absent" });
  await reportMode(cluster, "node-b", { mode: "coexist" });
  const leases = await raw.list(`${LEASES}?labelSelector=railnet.io/agent=true`);
  t.same(
    leases.map(({ metadata }: Json) => [metadata.name, metadata.annotations["railnet.io/whereabouts"]]),
    [
      ["railnet-node-node-a", "coexist"],
      ["railnet-node-node-b", "coexist"],
    ],
  );
  const { json } = await takeover();
  t.match(json.agents, [
    { node: "node-a", mode: "coexist", isHeard: true, hasNode: true },
    { node: "node-b", mode: "coexist" },
  ]);
  t.same(json.nodesWithoutAgent, []);
});

t.test("railnet ipam takeover finish refuses while Whereabouts renews its lease, then switches once", async (t) => {
  const lease = {
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "whereabouts", namespace: "kube-system" },
  };
  await raw.post(LEASES, {
    ...lease,
    spec: { holderIdentity: "x", renewTime: new Date().toISOString().replace("Z", "000Z") },
  });
  const refused = await takeover("finish");
  t.equal(refused.exit, 1);
  t.match(refused.json.obstacles, [/^Whereabouts is running: it renewed its lease/]);
  t.equal(await setting(), "none");
  await raw.delete(`${LEASES}/whereabouts`);
  const { exit, json } = await takeover("finish");
  t.equal(exit, 0);
  t.match(json, { mode: "absent", did: "switched to absent", next: /^wait: .*node-a, node-b$/ });
  t.equal(await setting(), "absent");
  t.match((await takeover("finish")).json.did, /^nothing/, "a second time is fine");
  const cluster = await connect({ kubeconfig });
  for (const node of ["node-a", "node-b"]) await reportMode(cluster, node, { mode: "absent" });
  t.match((await takeover()).json.next, /^nothing: the takeover is done/);
});

t.test("railnet ipam takeover back waits for the agents, and writes the records that are missing", async (t) => {
  await makeReservation(raw, "10.20.0.9", { podref: "default/new" }, { pool: POOL, node: "node-a" });
  const cluster = await connect({ kubeconfig });
  const agents = async () => {
    while ((await setting()) !== "coexist") await sleep(100);
    for (const node of ["node-a", "node-b"]) await reportMode(cluster, node, { mode: "coexist" });
  };
  const [{ exit, json }] = await Promise.all([takeover("back"), agents()]);
  t.equal(exit, 0);
  t.match(json, { mode: "coexist", did: "switched to coexist; 1 missing record written", next: "start Whereabouts" });
  t.same((await recordsOf(raw, POOL))["9"], { id: "c-new", ifname: "net1", podref: "default/new" });
  t.equal(await setting(), "coexist");
});

t.test("railnet ipam takeover and audit need no right that an agent has not", async (t) => {
  const own = api.kubeconfig({ token: await installAgent(api) });
  const plan = await ipam(["takeover", "--json", "--kubeconfig", own]);
  t.equal(plan.exit, 0, plan.stderr);
  t.equal(plan.json.whereabouts.workloads, null, "what it may not see it does not know");
  const audit = await ipam(["audit", "--json", "--kubeconfig", own]);
  t.match(audit.json, { mode: "coexist" }, audit.stderr);
});
