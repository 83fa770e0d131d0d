// The API server is away, slow, flapping, or refuses a token while agents' pods come and go. RAILNET_OUTAGE_PODS end while
// it is away (default 100).
import { writeFileSync } from "node:fs";
import t from "tap";
import { installAgent } from "../../../lab/cluster/install.ts";
import { deletePod } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";
import { RESERVATIONS, setMode } from "../addresses/support/world.ts";
import { configOf, inLanes, type PodSandbox } from "./support/runtime.ts";
import { startStage } from "./support/stage.ts";

t.setTimeout(1_800_000);
t.jobs = 1;
const PODS = Number(process.env["RAILNET_OUTAGE_PODS"] ?? 100);
/** A leader that was cut off has lost its lease; then the view waits for the next one. */
const PATIENCE_MS = 180_000;
const { api, proxy, runtime } = await startStage();
await setMode(api.raw, "absent");
const token = await installAgent(api);
const tokenFile = `${api.folder}/token`;
writeFileSync(tokenFile, token);
const node = await runtime.node("node-a", { kubeconfig: api.kubeconfig({ tokenFile, server: proxy.url }) });
await runtime.start(node);

const RAIL = configOf("rail0", "10.20.0.0/20");
const make = () => runtime.sandbox(node, "agent", "rail0", RAIL);
const all = <T, R>(items: readonly T[], work: (item: T) => Promise<R>) => Promise.all(inLanes(items, 50, work));
const podPath = (name: string) => `/api/v1/namespaces/default/pods/${name}`;
const reservations = async () => (await api.raw.list(RESERVATIONS)).length;

t.test(`${PODS} pods end while the API server is away and the agent is killed: each is given back once`, async (t) => {
  // Pods are being deleted, none is gone, and their namespaces stay: nothing but their DEL says that they are over.
  const sandboxes = await all(Array.from({ length: PODS }), make);
  const added = await all(sandboxes, (one) => runtime.add(one));
  t.same(
    added.filter(({ exit }) => exit !== 0),
    [],
  );
  await all(sandboxes, ({ pod }) => api.raw.request("DELETE", podPath(pod), { body: { gracePeriodSeconds: 3600 } }));
  await proxy.down();
  const acknowledged = await all(sandboxes.slice(0, PODS / 2), (one) => runtime.del(one));
  t.equal((await runtime.add(await make())).json?.code, 11, "an ADD fails at once: try again later");
  await node.stop("SIGKILL");
  await runtime.start(node);
  acknowledged.push(...(await all(sandboxes.slice(PODS / 2), (one) => runtime.del(one))));
  t.same(
    acknowledged.filter(({ exit }) => exit !== 0),
    [],
    "every DEL is acknowledged",
  );
  t.equal(await reservations(), PODS);
  const before = proxy.counted(/^DELETE overlapping/);
  await proxy.up();
  await until("all given back", reservations, (count) => count === 0, { limitMs: PATIENCE_MS });
  await all(sandboxes, ({ pod }) => deletePod(api.raw, pod));
  t.same(await runtime.wrong(undefined, PATIENCE_MS), []);
  t.equal(proxy.counted(/^DELETE overlapping/) - before, PODS, "each once");
});

t.test("a server that takes 5 s for every answer, and one that comes and goes", async (t) => {
  proxy.on({ effect: { kind: "slow", ms: 5000 }, path: /whereabouts\.cni.*\/(?!.*watch=)/ });
  const slow = await make();
  t.equal((await runtime.add(slow)).exit, 0, "slow is not away");
  await proxy.heal();
  proxy.flap(400);
  const living: PodSandbox[] = [];
  await all(Array.from({ length: 60 }), async () => {
    const one = await make();
    if ((await runtime.add(one)).exit === 0) living.push(one);
    else t.equal(await runtime.end(one), 1, "DEL is acknowledged all the same");
  });
  const ended = await all(living.slice(0, living.length / 2), (one) => runtime.end(one));
  t.ok(ended.every((dels) => dels === 1));
  await proxy.heal();
  t.same(await runtime.wrong(undefined, PATIENCE_MS), []);
});

t.test("etcd ends and comes back in the middle of a storm", async (t) => {
  const sandboxes = await all(Array.from({ length: 100 }), make);
  const before = runtime.living.length;
  const storm = all(sandboxes, (one) => runtime.add(one));
  await until(
    "the storm",
    () => runtime.living.length,
    (living) => living > before,
  );
  await api.restartEtcd();
  for (const [at, { exit }] of (await storm).entries()) if (exit !== 0) await runtime.end(sandboxes[at]!);
  t.same(await runtime.wrong(undefined, PATIENCE_MS), []);
});

t.test("a token that has expired is said so, and its successor is taken without a restart", async (t) => {
  writeFileSync(tokenFile, "expired");
  await node.stop("SIGKILL");
  await runtime.start(node);
  const one = await make();
  const { json } = await runtime.add(one);
  t.match(`${json?.msg} ${json?.details ?? ""}`, /token or certificate of the kubeconfig is not, or no longer, valid/);
  writeFileSync(tokenFile, token);
  t.equal((await runtime.add(one)).exit, 0);
  t.same(await runtime.wrong(undefined, PATIENCE_MS), []);
});
