// A power cut while an address is asked for in the cluster: when the API server hears of it, the node's disk knows it, in every
// state that POSIX allows (lab/netns/crash-states.ts); and the DEL that comes after the reboot gives it back.
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { installAgent } from "../../../lab/cluster/install.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { crashStates, parseTrace, readTree, writeTree } from "../../../lab/netns/crash-states.ts";
import { DiskTracer } from "../../../lab/netns/disk-trace.ts";
import { until } from "../../../lab/until.ts";
import { RESERVATIONS, setMode } from "../addresses/support/world.ts";
import { configOf } from "./support/runtime.ts";
import { startStage } from "./support/stage.ts";

t.setTimeout(1_200_000);
/** How long the request is on its way, so that the trace can be looked at meanwhile. */
const ON_THE_WAY_MS = 3000;

const { api, proxy, runtime } = await startStage();
await setMode(api.raw, "absent");
const kubeconfig = api.kubeconfig({ token: await installAgent(api), server: proxy.url });
const node = await runtime.node("node-a", { kubeconfig });
const tracer = new DiskTracer(node.folder);
const dir = join(node.folder, "state");
const rail = configOf("rail0", "10.20.0.0/24");

const held = async () =>
  (await api.raw.list(RESERVATIONS)).map(({ metadata, spec }) => `${metadata.name} ${spec.podref}`).sort();
/** Without those that a DEL has noted, and whose request may still arrive. */
const journalled = () =>
  node
    .claims()
    .filter(({ unfinished }) => unfinished !== "unclear")
    .flatMap(({ addresses, owner }) => addresses.map(({ ip }: Json) => `rail0-${ip} ${owner.podref}`));

/** A reservation as it came, to come again. */
async function copyOf(line: string): Promise<Json> {
  const { metadata, ...rest } = await api.raw.get(`${RESERVATIONS}/${line.split(" ")[0]}`);
  const { name, namespace, labels, annotations, finalizers } = metadata;
  return { ...rest, metadata: { name, namespace, labels, annotations, finalizers } };
}

t.test("the power is cut anywhere in ADD of railnet-ipam with a cluster", async (t) => {
  mkdirSync(dir);
  const [living, one] = [
    await runtime.sandbox(node, "alone", "rail0", rail),
    await runtime.sandbox(node, "alone", "rail0", rail),
  ];
  t.equal((await runtime.add(living)).exit, 0);
  const before = await held();

  const start = readTree(dir);
  const trace = join(node.folder, "trace");
  proxy.on({ effect: { kind: "slow", ms: ON_THE_WAY_MS }, method: "POST", path: /overlappingrangeipreservations/ });
  const posts = proxy.counted(/^POST overlapping/);
  const adding = node.alone("ADD", rail, one, undefined, [tracer.tool, trace, dir]);
  await until(
    "the request is on its way",
    () => proxy.counted(/^POST overlapping/),
    (count) => count > posts,
  );
  const heard = parseTrace(readFileSync(trace, "utf8"), start).length;
  t.equal((await adding).exit, 0);
  await proxy.heal();
  const changes = parseTrace(readFileSync(trace, "utf8"), start);
  t.ok(heard > 0 && heard < changes.length, `${heard} of ${changes.length} changes before the request`);
  const mine = (await held()).find((line) => !before.includes(line))!;
  const reservation = await copyOf(mine);

  const marked = [...changes.slice(0, heard), { kind: "answer" } as const, ...changes.slice(heard)];
  let count = 0;
  for (const { tree, when, answered: isHeard } of crashStates(start, marked)) {
    writeTree(dir, tree);
    if (isHeard) t.ok(journalled().includes(mine), `${when}: what the API server heard of is on the disk`);
    const isThere = (await held()).includes(mine);
    if (isHeard && !isThere) await api.raw.post(RESERVATIONS, reservation);
    if (!isHeard && isThere) await api.raw.delete(`${RESERVATIONS}/${reservation.metadata.name}`);
    t.equal((await node.alone("DEL", rail, one)).exit, 0, `${when}: DEL`);
    t.same(await held(), before, `${when}: it is given back, the other one is not`);
    t.same(journalled(), before, `${when}: so says the journal`);
    count++;
  }
  t.ok(count >= 5, `${count} states of the disk`);
});
