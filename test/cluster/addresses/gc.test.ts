import t from "tap";
import type { ClaimRecord } from "../../../ipam/journal.ts";
import { deletePod, makeNode, makePod } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";
import { Agent, heldRecord, pool } from "./support/agent.ts";
import { dice, RESERVATIONS, recorded, setMode, startWorld } from "./support/world.ts";

const { api, kubeconfig } = await startWorld("absent");
t.teardown(() => api.stop());
t.setTimeout(600_000);
const { raw } = api;
await raw.apply({ apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } });

/** `here` has an agent; `theirs`: Whereabouts made it, and no node is known. */
const NODES = ["here", "here", "gone", "out", "down", "theirs"] as const;
const PODS = ["absent", "running", "succeeded", "failed", "terminating", "other"] as const;
const JOURNALS = ["none", "none", "held", "claiming", "releasing"] as const;

interface Case {
  readonly ip: string;
  readonly key: string;
  readonly node: (typeof NODES)[number];
  readonly pod: (typeof PODS)[number];
  readonly knowsUid: boolean;
  readonly journal: (typeof JOURNALS)[number];
  readonly isAlive: boolean;
}

/** What the rules say, written down anew. */
function mustGo({ node, pod, knowsUid, journal, isAlive }: Case): boolean {
  const isOver = { absent: true, running: false, succeeded: true, failed: true, terminating: false, other: knowsUid }[
    pod
  ];
  if (node === "theirs") return pod === "absent";
  if (node === "down") return false;
  if (node === "gone" || node === "out") return isOver;
  return isOver && !isAlive && journal !== "releasing";
}

function randomCase(random: (limit: number) => number, network: number, i: number): Case {
  const pick = <T>(of: readonly T[]): T => of[random(of.length)]!;
  return {
    ip: `10.${network}.0.${i}`,
    key: String(i),
    node: pick(NODES),
    pod: pick(PODS),
    knowsUid: random(2) === 0,
    journal: pick(JOURNALS),
    isAlive: random(3) === 0,
  };
}

const podName = ({ ip }: Case): string => `p-${ip.replaceAll(".", "-")}`;

/** @returns the UID that a reservation knows. */
async function makeItsPod(one: Case): Promise<string> {
  const name = podName(one);
  if (one.pod === "absent") return "11111111-1111-1111-1111-111111111111";
  const phase = { succeeded: "Succeeded", failed: "Failed" }[one.pod as string] ?? "Running";
  const { metadata } = await makePod(raw, name, { node: `node-${one.node === "theirs" ? "here" : one.node}`, phase });
  if (one.pod === "terminating") {
    await raw.merge(`/api/v1/namespaces/default/pods/${name}`, { metadata: { finalizers: ["test.example/hold"] } });
    await deletePod(raw, name);
  }
  return one.pod === "other" ? "22222222-2222-2222-2222-222222222222" : metadata.uid;
}

async function make(one: Case, network: string, agent: Agent): Promise<void> {
  const uid = await makeItsPod(one);
  const rail = pool(network, `10.${network.slice(4)}.0.0/24`);
  const node = `node-${one.node}`;
  const spec = { podref: `default/${podName(one)}`, ifname: "net1", containerid: `c-${one.ip}` };
  const isOurs = one.node !== "theirs";
  await raw.apply({
    apiVersion: "whereabouts.cni.cncf.io/v1alpha1",
    kind: "OverlappingRangeIPReservation",
    metadata: {
      name: `${network}-${one.ip}`,
      ...(isOurs && {
        labels: {
          "railnet.io/network": network,
          "railnet.io/pool": rail.name,
          "railnet.io/node": node,
          ...(one.knowsUid && { "railnet.io/pod-uid": uid }),
        },
        annotations: { "railnet.io/pool": rail.name, "railnet.io/node": node },
      }),
    },
    spec: isOurs ? spec : { podref: spec.podref, ifname: "net1" },
  });
  if (one.node !== "here") return;
  if (one.isAlive) agent.alive.add(spec.containerid);
  const owner = { podref: spec.podref, ifname: "net1", containerId: spec.containerid, node };
  const other: ClaimRecord = { ...heldRecord(rail, one.ip, { ...owner, ifname: "net9" }), addresses: [] };
  if (one.journal === "none" && one.isAlive) agent.journal.write(other); // another attachment says that it runs
  if (one.journal !== "none") agent.journal.write({ ...heldRecord(rail, one.ip, owner), phase: one.journal });
}

const names = async (network: string): Promise<Set<string>> =>
  new Set(
    (await raw.list(RESERVATIONS))
      .filter(({ spec }) => spec.podref !== "quarantined") // nobody's: what silent nodes left
      .map(({ metadata }) => metadata.name)
      .filter((name) => name.startsWith(`${network}-`)),
  );

t.before(async () => {
  for (const node of ["node-here", "node-out", "node-down", "node-lead"]) await makeNode(raw, node);
  const taints = [{ key: "node.kubernetes.io/out-of-service", value: "shutdown", effect: "NoExecute" }];
  await raw.merge("/api/v1/nodes/node-out", { spec: { taints } });
});

for (const [seed, mode] of [
  [1, "absent"],
  [2, "coexist"],
  [3, "absent"],
  [4, "coexist"],
] as const)
  t.test(`gc frees what it must and nothing else, beside ${mode} Whereabouts (seed ${seed})`, async (t) => {
    const network = `rail${seed}`;
    const rail = pool(network, `10.${seed}.0.0/24`);
    await setMode(raw, mode);
    await using here = await Agent.start("node-here", kubeconfig, { graceMs: 300 });
    await using _lead = await Agent.start("node-lead", kubeconfig, { graceMs: 300 });
    await until(
      "the mode",
      () => here.modes.mode,
      (seen) => seen === mode,
    );
    const random = dice(seed);
    const cases = Array.from({ length: 45 }, (_, i) => randomCase(random, seed, i + 1));
    const record = (one: Case) => ({ id: `c-${one.ip}`, podref: `default/${podName(one)}`, ifname: "net1" });
    const allocations = Object.fromEntries(cases.map((one) => [one.key, record(one)]));
    const kind = { apiVersion: "whereabouts.cni.cncf.io/v1alpha1", kind: "IPPool" };
    if (mode === "coexist")
      await raw.apply({ ...kind, metadata: { name: rail.name }, spec: { range: rail.cidr, allocations } });
    for (const one of cases) await make(one, network, here);

    const nameOf = ({ ip }: Case) => `${network}-${ip}`;
    const going = cases.filter(mustGo);
    t.ok(going.length > 5 && going.length < 40, "the world has both");
    await until(
      "those that must go are gone",
      async () => {
        const left = await names(network);
        return going.filter((one) => left.has(nameOf(one)));
      },
      ({ length }) => length === 0,
    );
    await someLooksLater(network, here);
    const left = await names(network);
    const lost = cases.filter((one) => !mustGo(one) && !left.has(nameOf(one)));
    t.same(lost, [], "nothing else went");
    if (mode === "coexist") {
      const records = new Set((await recorded(raw, rail.name))!.map((line) => line.split(" ")[0]));
      const want = cases.filter((one) => !mustGo(one) || one.node === "theirs").map(({ ip }) => ip);
      t.same(
        cases.map(({ ip }) => ip).filter((ip) => records.has(ip)),
        want,
        "Whereabouts' records are its own",
      );
    }
    const told = [here, _lead].flatMap((agent) => agent.work.freed.all());
    for (const one of going) {
      const freed = told.filter(({ reservation }) => reservation === nameOf(one));
      t.equal(freed.length, 1, "told once");
      t.match(
        freed[0]?.evidence,
        { succeeded: /Succeeded/, failed: /Failed/, other: /UID/ }[one.pod as string] ?? /does not exist/,
      );
    }
  });

/** Both parts of gc have freed something that came later, two times. */
async function someLooksLater(network: string, here: Agent): Promise<void> {
  for (const i of [201, 202]) {
    const base = { key: String(i), pod: "absent", knowsUid: true, journal: "none", isAlive: false } as const;
    const octet = network.slice(4);
    const later: Case[] = [
      { ...base, ip: `10.${octet}.0.${i}`, node: "here" },
      { ...base, ip: `10.${octet}.0.${i + 10}`, node: "theirs" },
    ];
    for (const one of later) await make(one, network, here);
    await until(
      "later ones gone",
      async () => {
        const left = await names(network);
        return later.filter(({ ip }) => left.has(`${network}-${ip}`));
      },
      ({ length }) => length === 0,
    );
  }
}

t.test("NodeGc ends what is left in the journal when no DEL comes, and an ADD that did not finish", async (t) => {
  await setMode(raw, "absent");
  await using here = await Agent.start("node-here", kubeconfig, { graceMs: 300 });
  await here.modes.synced;
  const rail = pool("rail6", "10.6.0.0/24");
  const owner = (id: string) => ({ podref: `default/no-${id}`, ifname: "net1", containerId: id, node: "node-here" });
  here.journal.write(heldRecord(rail, "10.6.0.1", owner("empty")));
  here.alive.add("running");
  here.journal.write(heldRecord(rail, "10.6.0.2", owner("running")));
  await here.store.claim({ pool: rail, ip: "10.6.0.2", owner: owner("running") });
  await here.store.claim({ pool: rail, ip: "10.6.0.3", owner: owner("stuck") });
  here.journal.write({ ...heldRecord(rail, "10.6.0.3", owner("stuck")), phase: "claiming" });
  here.alive.add("adding");
  await here.store.claim({ pool: rail, ip: "10.6.0.4", owner: owner("adding") });
  here.journal.write({ ...heldRecord(rail, "10.6.0.4", owner("adding")), phase: "claiming" });
  const left = () => [...here.journal.all()].map(({ owner }) => owner.containerId).sort();
  await until("ended", left, (ids) => ids.join() === "adding,running");
  await someLooksLater("rail5", here);
  t.same(left(), ["adding", "running"]);
  t.same([...(await names("rail6"))].sort(), ["rail6-10.6.0.2", "rail6-10.6.0.4"]);
});

t.test("gc never frees what changes hands between its looks", async (t) => {
  await setMode(raw, "absent");
  await using here = await Agent.start("node-here", kubeconfig, { graceMs: 3000 });
  const one: Case = {
    ip: "10.9.0.1",
    key: "1",
    node: "here",
    pod: "absent",
    knowsUid: true,
    journal: "none",
    isAlive: false,
  };
  await make(one, "rail9", here);
  const path = `${RESERVATIONS}/rail9-10.9.0.1`;
  const { uid } = (await raw.get(path)).metadata;
  const atRest = new AbortController();
  const changing = (async () => {
    for (let i = 0; !atRest.signal.aborted; i++) await raw.merge(path, { spec: { containerid: `d${i}` } });
  })();
  await someLooksLater("rail8", here);
  await someLooksLater("rail7", here);
  atRest.abort();
  await changing;
  t.equal((await raw.get(path)).metadata.uid, uid, "still the same object");
  await until(
    "gone once it is at rest",
    () => raw.request("GET", path),
    ({ status }) => status === 404,
  );
});
