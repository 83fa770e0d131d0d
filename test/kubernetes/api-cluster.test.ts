// What goes over the line for each method, and what becomes of each answer.
import t from "tap";
import { ApiCluster } from "../../kubernetes/api-cluster.ts";
import { CONFIG_MAPS, IP_POOLS, type KubeObject, NODES, PODS } from "../../kubernetes/cluster.ts";
import { type Says, Server } from "./support/server.ts";

const POOLS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/ippools";
const object = (more: object = {}) => ({ metadata: { name: "a", ...more } });
const missing = (name: string): Says => ({ status: 404, body: { kind: "Status", code: 404, reason: "NotFound", message: "not found", details: { name } } }); // biome-ignore format: a row
const open = (...says: Says[]) => {
  const server = new Server(...says);
  return { server, cluster: new ApiCluster(server.caller(), "kube-system", 2) };
};
const META = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const META_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";

for (const { what, ask, line, accept = "application/json", type, body } of [
  { what: "get()", ask: (c: ApiCluster) => c.get(IP_POOLS, "a/b"), line: `GET ${POOLS}/a%2Fb` },
  { what: "get() of metadata from the cache", ask: (c: ApiCluster) => c.get(IP_POOLS, "a", { metadataOnly: true, fromCache: true }), line: `GET ${POOLS}/a?resourceVersion=0`, accept: META },
  { what: "get() elsewhere", ask: (c: ApiCluster) => c.get(PODS, "a", { namespace: "team" }), line: "GET /api/v1/namespaces/team/pods/a" },
  { what: "get() without a namespace", ask: (c: ApiCluster) => c.get(NODES, "a"), line: "GET /api/v1/nodes/a" },
  { what: "create()", ask: (c: ApiCluster) => c.create(IP_POOLS, object()), line: `POST ${POOLS}`, type: "application/json", body: object() },
  { what: "create() in the object's namespace", ask: (c: ApiCluster) => c.create(CONFIG_MAPS, object({ namespace: "team" })), line: "POST /api/v1/namespaces/team/configmaps", type: "application/json", body: object({ namespace: "team" }) },
  { what: "create() as a dry run", ask: (c: ApiCluster) => c.create(IP_POOLS, object(), { isDryRun: true }), line: `POST ${POOLS}?dryRun=All`, type: "application/json", body: object() },
  { what: "patch()", ask: (c: ApiCluster) => c.patch(IP_POOLS, "a", [{ op: "remove", path: "/x" }], { metadataOnly: true }), line: `PATCH ${POOLS}/a`, accept: META, type: "application/json-patch+json", body: [{ op: "remove", path: "/x" }] },
  { what: "patch() of a status", ask: (c: ApiCluster) => c.patch({ ...IP_POOLS, subresource: "status" }, "a", []), line: `PATCH ${POOLS}/a/status`, type: "application/json-patch+json", body: [] },
  { what: "mergePatch()", ask: (c: ApiCluster) => c.mergePatch(IP_POOLS, "a", { x: null }), line: `PATCH ${POOLS}/a`, type: "application/merge-patch+json", body: { x: null } },
  { what: "replace()", ask: (c: ApiCluster) => c.replace(IP_POOLS, object({ resourceVersion: "7" })), line: `PUT ${POOLS}/a`, type: "application/json", body: object({ resourceVersion: "7" }) },
  { what: "replace() in the object's namespace", ask: (c: ApiCluster) => c.replace(CONFIG_MAPS, object({ namespace: "team" })), line: "PUT /api/v1/namespaces/team/configmaps/a", type: "application/json", body: object({ namespace: "team" }) },
  { what: "delete()", ask: (c: ApiCluster) => c.delete(IP_POOLS, "a", { uid: "u", resourceVersion: "7" }), line: `DELETE ${POOLS}/a`, type: "application/json", body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: { uid: "u", resourceVersion: "7" } } },
  { what: "delete() elsewhere", ask: (c: ApiCluster) => c.delete(PODS, "a", {}, { namespace: "team" }), line: "DELETE /api/v1/namespaces/team/pods/a", type: "application/json", body: { apiVersion: "v1", kind: "DeleteOptions", preconditions: {} } },
] as { what: string; ask(cluster: ApiCluster): Promise<unknown>; line: string; accept?: string; type?: string; body?: object }[]) // biome-ignore format: rows
  t.test(`ApiCluster.${what} asks for ${line}`, async (t) => {
    const { server, cluster } = open({ status: 200, body: object() });
    const answer = await ask(cluster);
    if (!what.startsWith("delete")) t.same(answer, object());
    else t.equal(answer, true);
    t.same(server.asked, [line]);
    const { headers, body: sent } = server.requests[0]!;
    t.same(headers, {
      Accept: accept,
      "Accept-Encoding": "identity",
      "User-Agent": "railnet",
      Authorization: "Bearer 1",
      ...(type && { "Content-Type": type }),
    });
    t.same(sent && JSON.parse(sent), body);
  });

const page = (names: string[], more: object = {}): Says => ({
  status: 200,
  body: { items: names.map((name) => ({ metadata: { name } })), metadata: { resourceVersion: "5", ...more } },
});

t.test("ApiCluster.list() asks for all pages, the first from the cache if it may, and keeps what it is asked to", async (t) => {
  const says = [page(["a", "b"], { continue: "next" }), page(["c"], { resourceVersion: "6" })];
  const { server, cluster } = open(...says);
  const selection = { labelSelector: "x=y", fieldSelector: "metadata.name=z", fromCache: true, metadataOnly: true };
  const keep = ({ metadata: { name } }: KubeObject) => ({ metadata: { name: name.toUpperCase() } });
  const { items, resourceVersion } = await cluster.list(IP_POOLS, { ...selection, keep });
  t.same(items.map(({ metadata }) => metadata.name), ["A", "B", "C"]);
  t.equal(resourceVersion, "6");
  const which = "labelSelector=x%3Dy&fieldSelector=metadata.name%3Dz&limit=2";
  t.same(server.asked, [`GET ${POOLS}?${which}&resourceVersion=0`, `GET ${POOLS}?${which}&continue=next`]);
  t.equal(server.requests[0]!.headers["Accept"], META_LIST);
  const small = new Server(page(["a"]));
  await new ApiCluster(small.caller(), "kube-system", 10_000).list(IP_POOLS, { keep });
  await new ApiCluster(small.caller(), "kube-system", 10_000).list(IP_POOLS);
  t.same(small.asked, [`GET ${POOLS}?limit=500`, `GET ${POOLS}?limit=10000`], "of parts in smaller pages");
  t.equal(small.requests[1]!.headers["Accept"], "application/json");
  const all = open(page([]));
  await all.cluster.list(PODS, { namespace: "" });
  t.same(all.server.asked, ["GET /api/v1/pods?limit=2"]);
  const none = open({ status: 200, body: { items: null, metadata: { resourceVersion: "1" } } });
  t.same(await none.cluster.list(IP_POOLS), { items: [], resourceVersion: "1" });
}); // biome-ignore format: rows

t.test("ApiCluster.count() asks for one", async (t) => {
  const { server, cluster } = open(page(["a"], { remainingItemCount: 41 }), page([]));
  t.equal(await cluster.count(IP_POOLS), 42);
  t.equal(await cluster.count(IP_POOLS), 0);
  t.equal(server.asked[0], `GET ${POOLS}?limit=1`);
  t.equal(server.requests[0]!.headers["Accept"], META_LIST);
});

t.test("ApiCluster tells an object that is not there from objects that are not served", async (t) => {
  t.equal(await open(missing("a")).cluster.get(IP_POOLS, "a"), undefined);
  t.equal(await open(missing("a")).cluster.delete(IP_POOLS, "a"), false);
  for (const says of [missing("b"), { status: 404, body: "404 page not found" }]) {
    await t.rejects(open(says).cluster.get(IP_POOLS, "a"), { name: "ApiError", status: 404 });
    await t.rejects(open(says).cluster.delete(IP_POOLS, "a"), { name: "ApiError", status: 404 });
  }
  await t.rejects(open(missing("a")).cluster.patch(IP_POOLS, "a", []), { status: 404, message: /^cannot patch ippools a: not found \(NotFound\)$/ });
}); // biome-ignore format: rows

for (const status of [199, 300, 304])
  t.test(`ApiCluster takes the status ${status} for no success`, async (t) => {
    await t.rejects(open({ status, body: object() }).cluster.get(IP_POOLS, "a"), { name: "ApiError", status });
  });

t.test("ApiCluster takes an answer that is no JSON for one of a server that may have done it", async (t) => {
  const { cluster } = open({ status: 200, body: "<html>" });
  await t.rejects(cluster.get(IP_POOLS, "a"), { message: /the answer is not JSON: <html>/, isUnclear: false });
  await t.rejects(cluster.create(IP_POOLS, object()), { name: "ApiError", status: 500, isUnclear: true });
  t.match(await open({ status: 299, body: object() }).cluster.get(IP_POOLS, "a"), object());
});

t.test("ApiCluster.watch() gives events from a version on, until the line or its caller ends it", async (t) => {
  const line = (type: string, name: string) => `${JSON.stringify({ type, object: { metadata: { name } } })}\n`;
  const { server, cluster } = open({ status: 200, body: line("ADDED", "a") + line("DELETED", "a") });
  const from = { resourceVersion: "7", labelSelector: "x=y", metadataOnly: true, namespace: "team" };
  const events = await Array.fromAsync(cluster.watch(PODS, from));
  t.same(events.map(({ type }) => type), ["ADDED", "DELETED"]);
  const { pathname, searchParams } = new URL(server.requests[0]!.path, "https://api");
  t.equal(pathname, "/api/v1/namespaces/team/pods");
  const { timeoutSeconds, ...rest } = Object.fromEntries(searchParams);
  t.same(rest, { resourceVersion: "7", labelSelector: "x=y", watch: "1", allowWatchBookmarks: "true" });
  t.ok(Number(timeoutSeconds) >= 600 && Number(timeoutSeconds) <= 1200, `${timeoutSeconds}`);
  t.equal(server.requests[0]!.headers["Accept"], META);
  const gone = open({ status: 410, body: { kind: "Status", code: 410, reason: "Expired", message: "too old" } });
  await t.rejects(Array.fromAsync(gone.cluster.watch(PODS, { resourceVersion: "1" })), { name: "ApiError", status: 410, reason: "Expired" });
  const ended = new AbortController();
  const silent = Array.fromAsync(open("silence").cluster.watch(PODS, { resourceVersion: "1", signal: ended.signal }));
  setImmediate(() => ended.abort());
  t.same(await silent, [], "its caller ended it: no error");
  const broken = open({ status: 200, body: line("ADDED", "a"), headers: { end: "breaks" } });
  await t.rejects(Array.fromAsync(broken.cluster.watch(PODS, { resourceVersion: "1" })), { message: /planted ECONNRESET/ });
}); // biome-ignore format: rows
