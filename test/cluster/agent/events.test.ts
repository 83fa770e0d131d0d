import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { readExposition } from "../../daemonset/support/exposition.ts";

t.setTimeout(600_000);
const api = await ApiServer.start();
t.teardown(() => api.stop());
const { raw } = api;
await installCrds(raw);
const token = await installAgent(api);
const proxy = await FaultProxy.start(api);
t.teardown(() => proxy.stop());
await makeNode(raw, "node-a");
const kubeconfig = api.kubeconfig({ server: proxy.url, token });
const node = new ClusterNode("node-a", { folder: api.folder, kubeconfig });
t.teardown(() => node.stop());
const HEALTH = "127.0.0.1:19810";
await node.start("--health", HEALTH);

const scrape = async () =>
  readExposition(await (await fetch(`http://${HEALTH}/metrics`, { headers: { connection: "close" } })).text());
const eventsOf = (uid: string): Promise<Json[]> =>
  raw.list(`/api/v1/namespaces/default/events?fieldSelector=involvedObject.uid=${uid}`);

/** A range of one address, which somebody has: every ADD fails with 999. */
const config = (range = "10.9.0.0/30") => ({
  cniVersion: "1.1.0",
  name: "rail0-net",
  ipam: { type: "railnet-ipam", range, exclude: ["10.9.0.2/32"] },
});
t.equal((await node.call("ADD", config(), { id: "first", pod: "first" })).exit, 0);
const fails = async (id: string, pod: string, uid?: string, ifname = "net1") => {
  const { exit, json } = await node.call("ADD", config(), { id, pod, ifname, ...(uid && { uid }) });
  if (exit === 0) throw new Error(`${id} got an address`);
  return json;
};

t.test("railnet agent says at the pod why an ADD failed and what to do; the same again counts up", async (t) => {
  const { uid } = (await makePod(raw, "trainer", { node: "node-a" })).metadata;
  const { msg } = await fails("a1", "trainer", uid);
  await until("the event is there", async () => (await eventsOf(uid)).length === 1);
  const [event] = await eventsOf(uid);
  t.match(event, {
    type: "Warning",
    reason: "FailedRailAttach",
    count: 1,
    involvedObject: { kind: "Pod", apiVersion: "v1", namespace: "default", name: "trainer", uid },
    source: { component: "railnet", host: "node-a" },
  });
  t.equal(
    event.message,
    `net1 (rail0-net): ${msg}. What to do: see \`railnet ipam stats\`, or fix the ipam part of the network`,
  );
  for (const id of ["a2", "a3", "a4"]) await fails(id, "trainer", uid); // new sandboxes of the same pod
  await until("it counts up", async () => (await eventsOf(uid))[0]?.count === 4);
  t.equal((await eventsOf(uid)).length, 1, "one object");
  await fails("a4", "trainer", uid, "net2");
  await until("another interface has its own", async () => (await eventsOf(uid)).length === 2);
});

t.test("railnet agent finds the UID of a pod whose runtime does not say it", async (t) => {
  const { uid } = (await makePod(raw, "nameless", { node: "node-a" })).metadata;
  await fails("b1", "nameless");
  await until("the event is there", async () => (await eventsOf(uid)).length === 1);
  t.equal((await eventsOf(uid))[0].involvedObject.name, "nameless");
});

t.test("railnet agent answers an ADD while events hang, and writes them when the server is back, as one", async (t) => {
  const { uid } = (await makePod(raw, "patient", { node: "node-a" })).metadata;
  proxy.on({ method: "POST", path: /\/events/, effect: { kind: "hang" } });
  const before = proxy.counted(/^POST events/);
  for (const id of ["c1", "c2", "c3"]) await fails(id, "patient", uid);
  await until("the event is on its way", () => proxy.counted(/^POST events/) > before);
  t.same(await eventsOf(uid), [], "all are answered, and none is written");
  await fails("c4", "patient", uid);
  await proxy.heal();
  proxy.cutAll();
  await until("the event is there", async () => (await eventsOf(uid))[0]?.count === 4);
  t.equal((await eventsOf(uid)).length, 1);
});

t.test(
  "railnet agent keeps a bounded number of events while the API server is down, and counts the others",
  async (t) => {
    await proxy.down();
    await Promise.all(Array.from({ length: 130 }, (_, i) => fails(`d${i}`, `crowd-${i}`, `uid-${i}`)));
    const down = await scrape();
    const waiting = down.get("railnet_events_waiting")!;
    const dropped = down.get('railnet_events_total{result="dropped"}')!;
    t.ok(waiting <= 100 && waiting >= 99, `${waiting} wait`);
    t.ok(dropped >= 29 && dropped <= 31, `${dropped} are dropped`);
    t.equal((await node.call("STATUS", config(), { id: "", pod: "" })).exit === 0, false, "the server is down");
    await proxy.up();
  },
);

t.test("railnet agent counts its requests to the API server as that sees them", async (t) => {
  await until("a quiet moment", async () => {
    const count = proxy.counted(/./);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    return proxy.counted(/./) === count;
  });
  const METHOD: Json = {
    create: "POST",
    patch: "PATCH",
    update: "PUT",
    delete: "DELETE",
    get: "GET",
    list: "GET",
    watch: "GET",
  };
  const counted: Record<string, number> = {};
  for (const [key, value] of await scrape()) {
    const [, code, resource, verb] =
      /^railnet_api_requests_total\{code="(\d+)",resource="(\w+)",verb="(\w+)"\}$/.exec(key) ?? [];
    if (!verb || code === "0") continue; // a refused connection is no request
    const seen = `${METHOD[verb]} ${resource}`;
    counted[seen] = (counted[seen] ?? 0) + value;
  }
  for (const key of ["POST overlappingrangeipreservations", "GET pods", "GET configmaps", "PATCH events"])
    t.equal(counted[key], proxy.counted(new RegExp(`^${key}`)), key);
  t.ok(counted["POST overlappingrangeipreservations"]! > 0);
});

t.test("railnet agent, leading, says how long its pools are behind what they should show", async (t) => {
  const lag = async () => (await scrape()).get("railnet_pool_view_lag_seconds")!;
  const pool = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools/10.8.0.0-24";
  const shown = async () => Object.keys((await raw.get(pool)).spec.allocations ?? {}).length;
  const add = (id: string) => node.call("ADD", config("10.8.0.0/24"), { id, pod: id });
  await add("e1");
  await until("the pool shows it", async () => (await shown()) === 1 && (await lag()) === 0);
  proxy.on({ method: "PATCH", path: /ippools/, effect: { kind: "answer", status: 503 } });
  t.equal((await add("e2")).exit, 0);
  await until("the lag grows", async () => (await lag()) > 1);
  t.equal(await shown(), 1);
  await proxy.heal();
  proxy.cutAll();
});

t.test(
  "railnet agent serves though a stranger has its port for metrics, says so at its own pod, and takes it later",
  async (t) => {
    const stranger = createServer((_request, response) => response.end("a stranger's"));
    await once(stranger.listen(0, "127.0.0.1"), "listening");
    t.teardown(() => stranger.close());
    const address = `127.0.0.1:${(stranger.address() as AddressInfo).port}`;
    await makeNode(raw, "node-b");
    const { uid } = (await makePod(raw, "railnet-b", { node: "node-b" })).metadata;
    const env = { POD_NAMESPACE: "default", POD_NAME: "railnet-b" };
    const other = new ClusterNode("node-b", { folder: api.folder, kubeconfig, env });
    t.teardown(() => other.stop());
    await other.start("--metrics", address);
    t.equal((await other.call("ADD", config("10.7.0.0/24"), { id: "f1", pod: "f1" })).exit, 0, "it waits for nothing");
    await until("the event is there", async () => (await eventsOf(uid)).length === 1);
    t.match((await eventsOf(uid))[0], {
      type: "Warning",
      reason: "MetricsAddressTaken",
      message: `${address} is in use by another program: no metrics there until it is free; give the agent another --metrics`,
      involvedObject: { kind: "Pod", namespace: "default", name: "railnet-b", uid },
      source: { component: "railnet", host: "node-b" },
    });
    const ask = async () => (await fetch(`http://${address}/metrics`, { headers: { connection: "close" } })).text();
    t.equal(await ask(), "a stranger's");
    stranger.close();
    await until("the agent has the port", async () => /^railnet_/m.test(await ask().catch(() => "")));
    t.equal((await eventsOf(uid)).length, 1);
  },
);

t.test("railnet agent writes no secret into its log", async (t) => {
  t.ok(node.log().length > 1000);
  t.notOk(node.log().includes(token));
});
