import t from "tap";
import { CONFIG_MAPS, IP_POOLS, NODES, PODS, RESERVATIONS, type Resource } from "../../../kubernetes/cluster.ts";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode, makePod } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { Remote, RUNTIMES } from "./support/remote.ts";
import { OBJECTS, RESERVATION_PATH, reservation } from "./support/reservation.ts";

const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
const agent = { kubeconfig: api.kubeconfig({ token: await installAgent(api) }) };
const admin = { kubeconfig: api.kubeconfig() };
const stored = async (name: string): Promise<Json> =>
  (await api.raw.request("GET", `${RESERVATION_PATH}/${name}`)).body;

for (const runtime of RUNTIMES)
  t.test(`under ${runtime}:`, async (t) => {
    const remote = new Remote(runtime);
    t.teardown(() => remote.stop());
    const on = (method: string, resource: Resource, ...args: unknown[]) =>
      remote.call(agent, method, resource, ...args);
    const fails = (method: string, resource: Resource, ...args: unknown[]) =>
      remote.failure(agent, method, resource, ...args);

    t.test("create() stores the object and returns it as the server has it", async (t) => {
      const made = await on("create", RESERVATIONS, reservation(`${runtime}.create`, { a: "b" }));
      const { metadata, spec } = await stored(`${runtime}.create`);
      t.same([made.metadata.uid, made.spec], [metadata.uid, spec]);
      t.same([metadata.labels, spec], [{ a: "b" }, { podref: "team/pod", ifname: "net1", containerid: "c1" }]);
    });

    t.test("create() of a name that is taken fails with AlreadyExists and changes nothing", async (t) => {
      await on("create", RESERVATIONS, reservation(`${runtime}.twice`));
      t.match(await fails("create", RESERVATIONS, reservation(`${runtime}.twice`, {}, "other/pod")), {
        name: "ApiError",
        status: 409,
        reason: "AlreadyExists",
        isUnclear: false,
        message: `cannot create overlappingrangeipreservations ${runtime}.twice: `,
      });
      t.equal((await stored(`${runtime}.twice`)).spec.podref, "team/pod");
    });

    t.test("create() of what the definition forbids fails with Invalid and names the field", async (t) => {
      const bad = { ...reservation(`${runtime}.bad`), spec: {} };
      t.match(await fails("create", RESERVATIONS, bad), { status: 422, reason: "Invalid", message: /spec\.podref/ });
      t.equal((await stored(`${runtime}.bad`)).code, 404);
    });

    t.test("get() gives the object, its metadata alone, or undefined", async (t) => {
      await api.raw.apply(reservation(`${runtime}.get`));
      const { metadata, spec } = await stored(`${runtime}.get`);
      t.match(await on("get", RESERVATIONS, `${runtime}.get`), { metadata: { uid: metadata.uid }, spec });
      const slim = await on("get", RESERVATIONS, `${runtime}.get`, { metadataOnly: true });
      t.same([slim.kind, slim.metadata.uid, slim.spec], ["PartialObjectMetadata", metadata.uid, undefined]);
      t.equal(await on("get", RESERVATIONS, `${runtime}.none`), undefined);
      t.equal(await on("get", NODES, "none"), undefined);
      t.equal(await on("get", PODS, "none", { namespace: "no-such-namespace" }), undefined);
    });

    t.test("get() sees pods of any namespace, and nodes", async (t) => {
      await makePod(api.raw, `${runtime}-pod`, { node: "n1" });
      await makeNode(api.raw, `${runtime}-node`);
      t.match(await on("get", PODS, `${runtime}-pod`, { namespace: "default" }), { spec: { nodeName: "n1" } });
      t.match(await on("get", NODES, `${runtime}-node`), { metadata: { name: `${runtime}-node` } });
      const here = await on("list", PODS, { namespace: "", fieldSelector: `metadata.name=${runtime}-pod` });
      t.equal(here.items.length, 1, "all namespaces, by field");
    });

    t.test("list() selects by label, and gives metadata alone where asked", async (t) => {
      for (const n of [1, 2, 3])
        await api.raw.apply(reservation(`${runtime}.list.${n}`, { run: runtime, odd: `${n % 2 === 1}` }));
      const odd = await on("list", RESERVATIONS, { labelSelector: `run=${runtime},odd=true` });
      t.same(odd.items.map((item: Json) => item.metadata.name).sort(), [`${runtime}.list.1`, `${runtime}.list.3`]);
      t.match(odd, { resourceVersion: /^\d+$/ });
      const slim = await on("list", RESERVATIONS, { labelSelector: `run=${runtime}`, metadataOnly: true });
      t.same(
        slim.items.map((item: Json) => [item.metadata.labels.run, item.spec]),
        Array(3).fill([runtime, undefined]),
      );
      const cached = await on("list", RESERVATIONS, { labelSelector: `run=${runtime}`, fromCache: true });
      t.equal(cached.items.length, 3);
    });

    t.test("patch() does all of its operations or none", async (t) => {
      await api.raw.apply(reservation(`${runtime}.patch`));
      const path = "/spec/podref";
      const change = (from: string, to: string) => [
        { op: "test", path, value: from },
        { op: "replace", path, value: to },
      ];
      const changed = await on("patch", RESERVATIONS, `${runtime}.patch`, change("team/pod", "team/new"), {
        metadataOnly: true,
      });
      t.equal(changed.spec, undefined);
      t.equal((await stored(`${runtime}.patch`)).spec.podref, "team/new");
      t.match(await fails("patch", RESERVATIONS, `${runtime}.patch`, change("team/pod", "lost")), {
        status: 422,
        isUnclear: false,
      });
      t.equal((await stored(`${runtime}.patch`)).spec.podref, "team/new");
      t.match(await fails("patch", RESERVATIONS, `${runtime}.none`, []), { status: 404, reason: "NotFound" });
    });

    t.test("mergePatch() takes managedFields off, which is a third of a large pool", async (t) => {
      const spec = { range: "10.9.0.0/24", allocations: { 1: { id: "a", podref: "b/c", ifname: "d" } } };
      const pool = {
        apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
        kind: "IPPool",
        metadata: { name: `${runtime}-pool` },
        spec,
      };
      await on("create", IP_POOLS, pool);
      await on("mergePatch", IP_POOLS, `${runtime}-pool`, { metadata: { managedFields: [{}] } });
      const { metadata, spec: kept } = (await api.raw.request("GET", `${OBJECTS}/ippools/${runtime}-pool`)).body;
      t.same([metadata.managedFields, kept], [undefined, spec]);
    });

    t.test("replace() with a stale resourceVersion fails with Conflict", async (t) => {
      await api.raw.apply(reservation(`${runtime}.replace`));
      const old = await stored(`${runtime}.replace`);
      const next = { ...old, spec: { ...old.spec, podref: "team/new" } };
      await remote.call(admin, "replace", RESERVATIONS, next);
      t.equal((await stored(`${runtime}.replace`)).spec.podref, "team/new");
      const lost = await remote.failure(admin, "replace", RESERVATIONS, { ...old, spec: { podref: "lost" } });
      t.match(lost, { status: 409, reason: "Conflict", isUnclear: false });
      t.equal((await stored(`${runtime}.replace`)).spec.podref, "team/new");
    });

    t.test("delete() keeps an object whose UID or version is another, and says when there is none", async (t) => {
      const { uid, resourceVersion } = (await api.raw.apply(reservation(`${runtime}.delete`))).metadata;
      for (const preconditions of [{ uid: "other" }, { uid, resourceVersion: "1" }])
        t.match(await fails("delete", RESERVATIONS, `${runtime}.delete`, preconditions), {
          status: 409,
          reason: "Conflict",
        });
      t.equal((await stored(`${runtime}.delete`)).metadata.uid, uid);
      t.equal(await on("delete", RESERVATIONS, `${runtime}.delete`, { uid, resourceVersion }), true);
      t.equal((await stored(`${runtime}.delete`)).code, 404);
      t.equal(await on("delete", RESERVATIONS, `${runtime}.delete`, { uid }), false);
    });

    t.test("a refused permission names verb, resource and the lines that give it", async (t) => {
      const name = `${runtime}-map`;
      const failure = await fails("get", CONFIG_MAPS, name);
      t.match(failure, { status: 403, reason: "Forbidden", isUnclear: false });
      t.match(failure!.message, `cannot get configmaps ${name}: `);
      t.match(failure!.message, 'as manifests/rbac.yaml does: apiGroups: [""], resources: [configmaps], verbs: [get]');
    });

    t.test("a resource that nobody serves is an error of every method, with what to apply", async (t) => {
      const unserved = { ...IP_POOLS, plural: "no-such-pools" };
      const unknown = { ...IP_POOLS, group: "whereabouts.example.com" };
      for (const resource of [unserved, unknown]) {
        const rows: [string, ...unknown[]][] = [["get", "x"], ["list"], ["create", reservation("x")], ["delete", "x"]];
        for (const [method, ...args] of rows) {
          const failure = await remote.failure(admin, method, resource, ...args);
          t.match(failure, { status: 404, isUnclear: false }, `${method} of ${resource.group}/${resource.plural}`);
          t.match(failure?.message, "kubectl apply -f manifests/crds");
        }
      }
    });

    t.test("creates without number wait for their turn, and all succeed", async (t) => {
      const many = Array.from({ length: 300 }, (_, n) => reservation(`${runtime}.flood.${n}`, { flood: runtime }));
      t.equal(await remote.call({ ...agent, connections: 4 }, "flood", RESERVATIONS, many, 100), 300);
      const all = await api.raw.list(`${RESERVATION_PATH}?labelSelector=flood%3D${runtime}`);
      t.equal(new Set(all.map(({ metadata }) => metadata.uid)).size, 300);
    });
  });
