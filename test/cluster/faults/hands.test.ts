// Somebody's hands: objects deleted and edited, definitions and rights missing, nodes gone for good, hostile network
// configurations, a disk that is full or read-only.
import { execFileSync } from "node:child_process";
import { existsSync, writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import type { Answer } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { until } from "../../../lab/until.ts";
import { POOLS, RESERVATIONS, setMode } from "../addresses/support/world.ts";
import { configOf, Runtime } from "./support/runtime.ts";

t.setTimeout(600_000);
t.jobs = 1;
const api = await ApiServer.start();
const runtime = new Runtime(api);
t.teardown(async () => {
  await runtime.stop();
  await api.stop();
});
const { raw } = api;
await installCrds(raw);
const kubeconfig = api.kubeconfig({ token: await installAgent(api) });
await setMode(raw, "absent");
const node = await runtime.node("node-a", { kubeconfig });
await runtime.start(node);
const make = (network: string, range: string, more = {}) =>
  runtime.sandbox(node, "agent", network, configOf(network, range, more));
const said = ({ json }: Answer): string => `${json?.msg} ${json?.details ?? ""}`;

t.test("pools are deleted and edited by hand", async (t) => {
  const range = "10.1.0.0/24";
  const pool = `${POOLS}/hand-10.1.0.0-24`;
  const [first, second, third] = [await make("hand", range), await make("hand", range), await make("hand", range)];
  t.equal((await runtime.add(first)).exit, 0);
  t.same(await runtime.wrong("hand"), []);
  await raw.delete(pool);
  t.equal((await runtime.add(second)).exit, 0);
  t.same(await runtime.wrong("hand"), [], "the pool is made again, with all that lives");
  const records = (await raw.get(pool)).spec.allocations;
  const junk = { "01x": { id: "", podref: "" }, 77: { id: "z", podref: "no pod" } };
  const none = Object.fromEntries(Object.keys(records).map((key) => [key, null]));
  await raw.merge(pool, { spec: { allocations: { ...none, ...junk } } });
  t.equal((await runtime.add(third)).exit, 0);
  const own = async () => (await runtime.wrong("hand", 1)).filter((line) => !line.includes("no pod"));
  t.same(await until("all records are back", own, ({ length }) => length === 0), []);
  t.match((await raw.get(pool)).spec.allocations, junk, "what is nobody's is left alone");
});

t.test("a node that is gone for good, with its agent, is cleaned up by another one", async (t) => {
  const lost = await runtime.node("node-lost", { kubeconfig });
  await runtime.start(lost);
  const sandbox = await runtime.sandbox(lost, "agent", "gone", configOf("gone", "10.3.0.0/24"));
  t.equal((await runtime.add(sandbox)).exit, 0);
  await lost.stop("SIGKILL");
  await raw.delete("/api/v1/nodes/node-lost");
  await raw.delete(`/api/v1/namespaces/default/pods/${sandbox.pod}`);
  const left = async () =>
    (await raw.list(RESERVATIONS)).filter(({ spec }) => spec.podref === `default/${sandbox.pod}`);
  t.same(await until("freed", left, ({ length }) => length === 0), []);
  runtime.forget(lost);
});

t.test("an attachment that ends between two leaders gives its address back while its pod lives on", async (t) => {
  const other = await runtime.node("node-b", { kubeconfig });
  await runtime.start(other);
  const config = configOf("between", "10.5.0.0/24");
  const net1 = await runtime.sandbox(other, "agent", "between", config);
  const net2 = { ...net1, ifname: "net2" };
  for (const one of [net1, net2]) t.equal((await runtime.add(one)).exit, 0);
  t.same(await runtime.wrong("between"), [], "the pool shows both");
  await node.stop("SIGKILL"); // it leads
  t.equal((await runtime.del(net2)).exit, 0);
  const reserved = async () =>
    (await raw.list(RESERVATIONS)).filter(({ spec }) => spec.podref === `default/${net1.pod}`).length;
  await until("given back", reserved, (count) => count === 1);
  await runtime.start(node);
  await until("the new leader believes the record", reserved, (count) => count === 2);
  t.same(await runtime.wrong("between"), []);
  await runtime.end(net1);
  await other.stop();
});

for (const { what, ipam, says } of [
  { what: "a network_name that is a path", ipam: { network_name: "../../x" }, says: /network_name/ },
  { what: "a range that is none", ipam: { range: "10.4.0.0/99" }, says: /10\.4\.0\.0\/99/ },
  { what: "an address of nowhere for the gateway", ipam: { gateway: "$(reboot)" }, says: /gateway/ },
])
  t.test(`a tenant's network configuration with ${what} is refused by name`, async (t) => {
    const answer = await runtime.add(await make("", "10.4.0.0/24", ipam));
    t.not(answer.exit, 0);
    t.match(said(answer), says);
    t.same(await runtime.wrong(""), []);
  });

t.test("a tenant's network configuration cannot name files or another cluster", async (t) => {
  const file = (name: string) => `${api.folder}/tenant-${name}`;
  writeFileSync(
    file("conf"),
    JSON.stringify({ kubernetes: { kubeconfig: file("kubeconfig") }, log_file: file("log") }),
  );
  writeFileSync(file("kubeconfig"), "apiVersion: v1\nkind: Config\n");
  const ipam = {
    kubernetes: { kubeconfig: file("kubeconfig") },
    configuration_path: file("conf"),
    log_file: file("log"),
  };
  t.equal((await runtime.add(await make("tenant", "10.6.0.0/24", ipam))).exit, 0, "they are not looked at");
  t.same(await runtime.wrong("tenant"), []);
  t.notOk(existsSync(file("log")));
});

t.test("a disk that is full, and one that is read-only", async (t) => {
  const state = `${node.folder}/state`;
  const mount = (...args: readonly string[]) => execFileSync("mount", [...args, state]);
  await node.stop();
  mount("-t", "tmpfs", "-o", "size=256k", "railnet-test");
  t.teardown(() => execFileSync("umount", ["-l", state]));
  await runtime.start(node);
  const [living, refused] = [await make("disk", "10.7.0.0/24"), await make("disk", "10.7.0.0/24")];
  t.equal((await runtime.add(living)).exit, 0);
  const faults = {
    full: [
      () => execFileSync("sh", ["-c", `cat /dev/zero > ${state}/fill 2> /dev/null; true`]),
      () => execFileSync("rm", [`${state}/fill`]),
    ],
    "read-only": [() => mount("-o", "remount,ro"), () => mount("-o", "remount,rw")],
  } as const;
  for (const [what, [begin, end]] of Object.entries(faults)) {
    begin();
    const add = await runtime.add(refused);
    t.match(add.json, { code: 5 }, `${what}: ${said(add)}`);
    const reserved = (await raw.list(RESERVATIONS)).filter(({ spec }) => spec.podref === `default/${refused.pod}`);
    t.same(reserved, [], "nothing was asked for");
    end();
    t.equal((await runtime.del(refused)).exit, 0);
    t.same(await runtime.wrong("disk"), []);
  }
  faults.full[0]();
  const del = await runtime.del(living);
  faults.full[1]();
  t.equal(del.exit === 0 ? 1 : await runtime.end(living), 1, "DEL succeeds, at the latest when there is room again");
  t.same(await runtime.wrong("disk"), []);
  await node.stop();
});

t.test("rights and definitions that are missing are named, with what gives them", async (t) => {
  await runtime.start(node);
  const before = await raw.get("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/railnet");
  await raw.delete("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings/railnet");
  const one = await make("rights", "10.8.0.0/24");
  const forbidden = await until(
    "forbidden",
    () => runtime.add(one),
    ({ exit }) => exit !== 0,
  );
  t.match(
    said(forbidden),
    /forbidden.*allow it as manifests\/rbac\.yaml does: apiGroups: \["whereabouts\.cni\.cncf\.io"\], resources: \[\w+\], verbs: \[\w+\]/s,
  );
  await raw.post("/apis/rbac.authorization.k8s.io/v1/namespaces/kube-system/rolebindings", {
    ...before,
    metadata: { name: "railnet" },
  });
  await until(
    "allowed",
    () => runtime.add(one),
    ({ exit }) => exit === 0,
  );
  for (const plural of ["ippools", "overlappingrangeipreservations"])
    await raw.delete(`/apis/apiextensions.k8s.io/v1/customresourcedefinitions/${plural}.whereabouts.cni.cncf.io`);
  const missing = () => make("crds", "10.9.0.0/24").then((sandbox) => runtime.add(sandbox));
  const answer = await until("not served", missing, (one) => said(one).includes("not served"));
  t.match(said(answer), /are not served here: kubectl apply -f manifests\/crds/);
});
