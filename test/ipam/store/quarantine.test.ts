// Addresses of nodes that nobody hears of: given out last, after a question, and taken back by who lives after all.
import t from "tap";
import { mergeResult } from "../../../cni/protocol/result.ts";
import { parseResult } from "../../../cni/protocol/result-parse.ts";
import type { Context } from "../../../daemonset/addresses/context.ts";
import { heal } from "../../../daemonset/addresses/heal.ts";
import { Allocator } from "../../../ipam/allocator.ts";
import { parseRange, rangeOf } from "../../../ipam/range.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import type { IpamConfig } from "../../../ipam/whereabouts/config.ts";
import { toQuarantine } from "../../../ipam/whereabouts/quarantine.ts";
import { toResult } from "../../../ipam/whereabouts/result.ts";
import { RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../support/memory-cluster.ts";
import { ownerOf, poolOf } from "./names.ts";

const CIDR = "10.20.0.0/29"; // six addresses
const pool = poolOf("", CIDR);
const source = { pool, range: rangeOf(parseRange(CIDR).network) };
const log = { debug() {}, info() {}, warn() {} };

function worldOf() {
  const cluster = new MemoryCluster();
  const suspect: string[] = [];
  const agent = () => {
    const store = new KubernetesStore({ cluster, mode: () => "absent", log, createsAdopted: true });
    const allocator = new Allocator(store, { onQuarantined: (ip) => suspect.push(ip) });
    return { store, add: (pod: string) => allocator.allocate(source, ownerOf(pod)) };
  };
  const quarantine = async (ip: string, nowMs = Date.now()) => {
    const found = cluster.read("overlappingrangeipreservations", ip);
    await cluster.mergePatch(RESERVATIONS, ip, toQuarantine(found.metadata, nowMs));
  };
  const holder = (ip: string) => cluster.read("overlappingrangeipreservations", ip)?.spec.podref;
  return { cluster, suspect, agent, quarantine, holder };
}

t.test("an address in quarantine is given out last, the oldest first, and its user is told to ask", async (t) => {
  const { suspect, agent, quarantine, holder } = worldOf();
  const lost = agent();
  for (const pod of ["a", "b", "c"]) await lost.add(pod);
  await quarantine("10.20.0.3", Date.now() - 2_000);
  await quarantine("10.20.0.1", Date.now() - 1_000);
  const other = agent();
  const given = [];
  for (const pod of ["d", "e", "f"]) given.push(await other.add(pod));
  t.same(given.sort(), ["10.20.0.4", "10.20.0.5", "10.20.0.6"], "first what is free");
  t.same(suspect, []);
  t.equal(await other.add("g"), "10.20.0.3");
  t.equal(await other.add("h"), "10.20.0.1");
  t.same(suspect, ["10.20.0.3", "10.20.0.1"]);
  t.equal(holder("10.20.0.3"), "team/g");
  await t.rejects(other.add("i"), /are taken or excluded/);
});

t.test("what came from the quarantine goes back there: perhaps somebody answered for it", async (t) => {
  const { agent, quarantine, holder, cluster } = worldOf();
  const a = agent();
  for (const pod of ["a", "b", "c", "d", "e", "f"]) await a.add(pod);
  await quarantine("10.20.0.2");
  t.equal(await agent().add("g"), "10.20.0.2");
  const { store } = agent();
  t.equal(await store.release({ pool, ip: "10.20.0.2", owner: ownerOf("g") }), "released");
  t.equal(holder("10.20.0.2"), "quarantined");
  t.equal(await store.release({ pool, ip: "10.20.0.1", owner: ownerOf("a") }), "released");
  t.same(cluster.names("overlappingrangeipreservations").length, 5, "others are free at once");
  t.equal(
    (await store.claim({ pool, ip: "10.20.0.2", owner: ownerOf("h") }))?.podref,
    "quarantined",
    "nobody just takes it",
  );
});

t.test(
  "an address that somebody answers for goes behind the others, and is in quarantine for another hour",
  async (t) => {
    const { agent, quarantine, cluster, suspect } = worldOf();
    for (const pod of ["a", "b", "c", "d", "e", "f"]) await agent().add(pod);
    await quarantine("10.20.0.2", Date.now() - 3_500_000);
    await quarantine("10.20.0.4", Date.now() - 3_400_000);
    const beganMs = Date.now();
    const given = [];
    for (const pod of ["g", "h"]) {
      const ip = await agent().add(pod);
      given.push(ip);
      await agent().store.release({ pool, ip, owner: ownerOf(pod) }); // as the DEL of an ADD that failed with 105
      const { metadata, spec } = cluster.read("overlappingrangeipreservations", ip);
      t.equal(spec.podref, "quarantined");
      t.ok(Date.parse(metadata.annotations["railnet.io/quarantined"]) >= beganMs, "from now on");
    }
    t.same(given, ["10.20.0.2", "10.20.0.4"], "each try another one");
    t.same(suspect, given);
  },
);

t.test("an address that came out of quarantine goes back there, though its hour was over meanwhile", async (t) => {
  const { agent, quarantine, holder } = worldOf();
  for (const pod of ["a", "b", "c", "d", "e", "f"]) await agent().add(pod);
  await quarantine("10.20.0.2", Date.now() - 3_700_000); // the leader is late
  t.equal(await agent().add("g"), "10.20.0.2");
  await agent().store.release({ pool, ip: "10.20.0.2", owner: ownerOf("g") });
  t.equal(holder("10.20.0.2"), "quarantined", "free, it would be given out without a question");
});

t.test("heal() takes an address out of quarantine for the sandbox that lives after all", async (t) => {
  const { agent, quarantine, holder, cluster } = worldOf();
  await agent().add("a");
  await quarantine("10.20.0.1");
  t.equal(cluster.read("overlappingrangeipreservations", "10.20.0.1").metadata.labels["railnet.io/node"], undefined);
  const said: object[] = [];
  const context = {
    cluster,
    log,
    mode: () => "absent",
    told: { putBack() {}, duplicate: (one: object) => said.push(one) },
  };
  await heal(
    { pool, ip: "10.20.0.1", owner: ownerOf("a") },
    () => true,
    context as unknown as Context,
    new AbortController().signal,
  );
  t.equal(holder("10.20.0.1"), "team/a");
  t.same(said, []);
});

t.test(
  "a result tells the attach plugin to ask for what was in quarantine, and the runtime nothing of it",
  async (t) => {
    const config = { ranges: [source, source], fixed: [], routes: [], dns: {} } as unknown as IpamConfig;
    const result = toResult(config, ["10.20.0.1", "10.20.0.2"], new Set(["10.20.0.2"]));
    const read = parseResult(JSON.parse(JSON.stringify({ ...result, cniVersion: "1.0.0" })), "1.0.0");
    t.same(
      read.ips.map(({ probe }) => probe ?? false),
      [false, true],
    );
    t.notMatch(JSON.stringify(mergeResult(undefined, { name: "net1" }, read, undefined)), /probe/);
  },
);
