import t from "tap";
import { RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { until } from "../../../lab/until.ts";
import { type Call, Remote, RUNTIMES } from "./support/remote.ts";
import { RESERVATION_PATH, reservation } from "./support/reservation.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
const token = await installAgent(api);
const proxy = await FaultProxy.start(api);
t.teardown(() => proxy.stop());
const direct = { kubeconfig: api.kubeconfig({ token }) };
const proxied = { kubeconfig: api.kubeconfig({ token, server: proxy.url }) };
const pathTo = (name: string) => `${RESERVATION_PATH}/${name}`;
const watches = () => proxy.counted(/^GET /);

/** What a follower has been told, as `name: podref` of what is there. */
function told({ events }: Call): Json {
  const picture: Json = {};
  for (const { type, object } of events)
    if (type === "DELETED") delete picture[object.metadata.name];
    else if (object) picture[object.metadata.name] = object.spec.podref;
  return picture;
}

/** The same, as the server has it. */
async function true_(run: string): Promise<Json> {
  const items = await api.raw.list(`${RESERVATION_PATH}?labelSelector=run%3D${run}`);
  return Object.fromEntries(items.map(({ metadata, spec }) => [metadata.name, spec.podref]));
}

const isTold = (call: Call, run: string) =>
  until(
    "the picture is true",
    async () => JSON.stringify(sorted(told(call))) === JSON.stringify(sorted(await true_(run))),
  );
const sorted = (picture: Json) => Object.entries(picture).sort();
const typesOf = ({ events }: Call, name: string) =>
  events.filter(({ object }) => object?.metadata.name === name).map(({ type }) => type);
const isSynced = (call: Call) => until("it is synced", () => call.events.some(({ type }) => type === "SYNCED"));

for (const runtime of RUNTIMES)
  t.test(`under ${runtime}:`, async (t) => {
    const remote = new Remote(runtime);
    t.teardown(() => remote.stop());
    t.afterEach(() => proxy.heal());
    let runs = 0;
    const newRun = () => `${runtime}${++runs}`;
    const put = (name: string, run: string, podref?: string) => api.raw.apply(reservation(name, { run }, podref));
    const follow = (run: string, options: object = proxied) =>
      remote.call(options, "follow", RESERVATIONS, { labelSelector: `run=${run}` });

    t.test("watch() tells every change after a version, and ends when its signal says so", async (t) => {
      const run = newRun();
      const { metadata } = await api.raw.get(RESERVATION_PATH);
      const selection = { labelSelector: `run=${run}`, resourceVersion: metadata.resourceVersion };
      const call = remote.call(direct, "watch", RESERVATIONS, selection);
      await put(`${run}.a`, run);
      await put(`${run}.a`, run, "team/new");
      await put(`${run}.other`, "other");
      await api.raw.delete(pathTo(`${run}.a`));
      await until("it is deleted", () => typesOf(call, `${run}.a`).includes("DELETED"));
      t.same(
        call.events.map(({ type, object }) => `${type} ${object.metadata.name} ${object.spec.podref}`),
        [`ADDED ${run}.a team/pod`, `MODIFIED ${run}.a team/new`, `DELETED ${run}.a team/new`],
      );
      call.abort();
      t.equal(await call, undefined, "without an error");
    });

    t.test("watch() gives metadata alone where asked", async (t) => {
      const run = newRun();
      const { metadata } = await api.raw.get(RESERVATION_PATH);
      const selection = { labelSelector: `run=${run}`, resourceVersion: metadata.resourceVersion, metadataOnly: true };
      const call = remote.call(direct, "watch", RESERVATIONS, selection);
      await put(`${run}.a`, run);
      await until("it is added", () => call.events.length > 0);
      t.match(call.events, [{ type: "ADDED", object: { metadata: { name: `${run}.a` } } }]);
      t.equal(call.events[0].object.spec, undefined);
      call.abort();
      await call;
    });

    t.test("watch() from a version that is too old fails with 410", async (t) => {
      const failure = await remote.failure(direct, "watch", RESERVATIONS, { resourceVersion: "1" });
      t.match(failure, { name: "ApiError", status: 410, reason: "Expired", isUnclear: false });
    });

    t.test("watch() fails when its connection breaks", async (t) => {
      const { metadata } = await api.raw.get(RESERVATION_PATH);
      const before = watches();
      const call = remote.call(proxied, "watch", RESERVATIONS, { resourceVersion: metadata.resourceVersion });
      await until("it watches", () => watches() > before);
      const cutting = setInterval(() => proxy.cutAll(), 50); // whenever the answer begins
      const failure = await call.catch((error) => error);
      clearInterval(cutting);
      t.match(failure, { name: "ApiError", status: 0, isUnclear: false });
    });

    t.test("an informer is told what is there, then what changes, with two requests", async (t) => {
      const run = newRun();
      await put(`${run}.a`, run);
      const before = watches();
      const call = follow(run);
      await isSynced(call);
      t.same(call.events.at(-1).names, [`kube-system/${run}.a`]);
      await put(`${run}.b`, run);
      await put(`${run}.a`, run, "team/new");
      await isTold(call, run);
      await api.raw.delete(pathTo(`${run}.a`));
      await isTold(call, run);
      t.same(typesOf(call, `${run}.a`), ["ADDED", "MODIFIED", "DELETED"]);
      t.equal(watches() - before, 2);
      call.abort();
      t.same(
        (await call).map(([name]: [string]) => name),
        [`kube-system/${run}.b`],
      );
    });

    t.test("an informer whose connection breaks goes on where it was, and tells nothing twice", async (t) => {
      const run = newRun();
      await put(`${run}.a`, run);
      const call = follow(run);
      await isSynced(call);
      const before = proxy.counted(/^GET /);
      await proxy.down();
      await put(`${run}.b`, run);
      await api.raw.delete(pathTo(`${run}.a`));
      await put(`${run}.a`, run, "team/second");
      await proxy.up();
      await isTold(call, run);
      t.same(typesOf(call, `${run}.a`), ["ADDED", "DELETED", "ADDED"]);
      t.same(typesOf(call, `${run}.b`), ["ADDED"]);
      t.ok(proxy.counted(/^GET /) > before);
      call.abort();
      await call;
    });

    t.test("an informer that comes too late for the events lists again, and tells the differences", async (t) => {
      const run = newRun();
      for (const name of ["kept", "changed", "gone", "replaced"]) await put(`${run}.${name}`, run);
      const call = follow(run);
      await isSynced(call);
      proxy.on({ path: /watch=1/, effect: { kind: "answer", status: 410 }, times: 1 });
      await proxy.down();
      await put(`${run}.changed`, run, "team/new");
      await api.raw.delete(pathTo(`${run}.gone`));
      await api.raw.delete(pathTo(`${run}.replaced`));
      await put(`${run}.replaced`, run, "team/second");
      await proxy.up();
      await isTold(call, run);
      const types = (name: string) => typesOf(call, `${run}.${name}`);
      t.same(types("kept"), ["ADDED"]);
      t.same(types("changed"), ["ADDED", "MODIFIED"]);
      t.same(types("gone"), ["ADDED", "DELETED"]);
      t.same(types("replaced"), ["ADDED", "DELETED", "ADDED"]);
      call.abort();
      await call;
    });

    t.test("an informer starts also when the server is not there yet, and outlives refusals", async (t) => {
      const run = newRun();
      await put(`${run}.a`, run);
      proxy.on({ method: "GET", effect: { kind: "answer", status: 403 }, times: 2 });
      await proxy.down();
      const call = follow(run);
      await until("it says so", () => call.events.some(({ type }) => type === "ERROR"));
      await proxy.up();
      await isSynced(call);
      t.same(told(call), await true_(run));
      call.abort();
      await call;
    });
  });

t.test("informers keep a true picture while the API server and etcd restart", async (t) => {
  const remotes = RUNTIMES.map((runtime) => new Remote(runtime));
  for (const remote of remotes) t.teardown(() => remote.stop());
  const calls = remotes.map((remote) => remote.call(direct, "follow", RESERVATIONS, { labelSelector: "run=restart" }));
  const put = (name: string, podref?: string) => api.raw.apply(reservation(name, { run: "restart" }, podref));
  await put("restart.a");
  for (const call of calls) await isSynced(call);
  await api.down("SIGKILL");
  await api.startAgain();
  await put("restart.b");
  await api.raw.delete(pathTo("restart.a"));
  for (const call of calls) await isTold(call, "restart");
  await api.restartEtcd();
  await until("writes work", async () =>
    put("restart.c").then(
      () => true,
      () => false,
    ),
  );
  await api.raw.delete(pathTo("restart.b"));
  for (const call of calls) await isTold(call, "restart");
  t.same(Object.keys(told(calls[0]!)), ["restart.c"]);
});
