// The decisions behind `railnet ipam stats`, `release` and `takeover`, without a cluster.
import t from "tap";
import { AddressIndex } from "../../../cli/ipam/address-index.ts";
import { addressesOf, type HeldAddress, isSameOwner, sorted } from "../../../cli/ipam/addresses.ts";
import { nodeStats, poolStats } from "../../../cli/ipam/pool-stats.ts";
import { meant } from "../../../cli/ipam/release/which.ts";
import { locate, type PoolState } from "../../../cli/ipam/snapshot.ts";
import { readinessOf, type TakeoverState } from "../../../cli/ipam/takeover/state.ts";
import { summary } from "../../../cli/ipam/takeover/summary.ts";
import { parseStored } from "../../../ipam/whereabouts/parse.ts";
import { IP_POOLS, type KubeObject, RESERVATIONS } from "../../../kubernetes/cluster.ts";

const held = (ip: string, more: Partial<HeldAddress> = {}): HeldAddress => ({
  ip,
  network: "",
  pool: "10.0.0.0-24",
  podref: "team/a",
  ifname: "net1",
  node: "node-a",
  podUid: "u",
  containerId: "c",
  since: "",
  by: "both",
  ...more,
});

const NOW = Date.parse("2026-01-01T00:10:00Z");
const old = "2026-01-01T00:00:00Z";
const pool = (name: string, range: string, allocations: object, annotations = {}) =>
  parseStored(IP_POOLS, { metadata: { name, annotations }, spec: { range, allocations } } as KubeObject) as never;
const reservation = (name: string, spec: object, labels = {}, creationTimestamp = old) =>
  parseStored(RESERVATIONS, { metadata: { name, labels, creationTimestamp }, spec } as KubeObject) as never;
const record = (podref: string, ifname?: string) => ({ id: `c-${podref}`, podref, ...(ifname && { ifname }) });

t.test("poolStats() counts addresses once, by what says so, also of pools that are gone", async (t) => {
  const state = (name: string, range: string, isAdopted = false): PoolState => ({
    name,
    range,
    location: undefined,
    isAdopted,
    records: new Map(),
  });
  const all = [
    held("10.0.0.1"),
    held("10.0.0.1", { by: "record", podref: "team/b" }),
    held("10.0.0.2", { by: "reservation" }),
    held("10.0.0.1", { pool: "gone", network: "rail9" }),
    held("10.0.0.1", { pool: "gone", network: "rail8", by: "file" }),
  ];
  const stats = poolStats([state("10.0.0.0-24", "10.0.0.0/24", true), state("z", "10.9.0.0/31"), state("y", "nonsense"), state("x", "10.9.0.0/30")], all);
  t.same(
    stats.map(({ pool, network, size, used, free, reservations, records, lag, isAdopted }) => [pool, network, size, used, free, reservations, records, lag, isAdopted]),
    [
      ["10.0.0.0-24", "", "254", 2, "252", 2, 2, 2, true],
      ["gone", "rail9", "", 2, "", 1, 1, 0, false],
      ["x", "", "2", 0, "2", 0, 0, 0, false],
      ["y", "", "", 0, "", 0, 0, 0, false],
      ["z", "", "", 0, "", 0, 0, 0, false],
    ],
  );
  t.equal(poolStats([state("p", "10.9.0.0/30")], ["1", "2", "3"].map((n) => held(`10.9.0.${n}`, { pool: "p" })))[0]!.free, "0");
  t.equal(poolStats([state("p", "fd00::/64")], [])[0]!.size, String(2n ** 64n - 2n));
}); // biome-ignore format: rows

t.test("nodeStats() has the fullest first, then by name", async (t) => {
  const all = ["b", "a", "c", "c", ""].map((node, i) => held(`10.0.0.${i}`, { node }));
  t.same(nodeStats(all).map(({ node, used }) => `${node} ${used}`), ["c 2", " 1", "a 1", "b 1"]); // biome-ignore format: one row
});

t.test("meant() is what fits all that was said, and asks where two networks have the address", async (t) => {
  const all = [held("10.0.0.1"), held("10.0.0.1", { network: "rail1" }), held("10.0.0.2", { podref: "team/b" })];
  const which = (more: object) => ({ ip: undefined, podref: undefined, network: undefined, force: false, ...more });
  t.same(meant(all, which({ podref: "team/a" })), all.slice(0, 2));
  t.same(meant(all, which({ ip: "10.0.0.2" })), all.slice(2));
  t.same(meant(all, which({ ip: "10.0.0.2", podref: "team/a" })), []);
  t.same(meant(all, which({ ip: "10.0.0.1", network: "rail1" })), all.slice(1, 2));
  t.throws(() => meant(all, which({ ip: "10.0.0.1" })), {
    name: "UsageError",
    message: 'cannot tell which 10.0.0.1 is meant: networks "" and "rail1" have it; give --network',
  });
});

t.test("sorted() goes by number, IPv4 first, what is no address last", async (t) => {
  const ips = ["x", "fd00::2", "10.0.0.10", "fd00::1", "10.0.0.9"].map((ip) => held(ip));
  t.same(sorted([...ips, held("10.0.0.9", { network: "a" })]).map(({ ip, network }) => ip + network), ["10.0.0.9", "10.0.0.9a", "10.0.0.10", "fd00::1", "fd00::2", "x"]); // biome-ignore format: one row
});

t.test("isSameOwner() takes what is not said for the same", async (t) => {
  const owner = { podref: "team/a", ifname: "net1" };
  for (const other of [owner, { podref: "team/a" }, { podref: "", ifname: "net1" }, { podref: "team/a", ifname: "" }])
    t.equal(isSameOwner(owner, other) && isSameOwner(other, owner), true);
  for (const other of [{ podref: "team/b" }, { podref: "team/a", ifname: "net2" }, { podref: "", ifname: "net2" }])
    t.equal(isSameOwner(owner, other) || isSameOwner(other, owner), false);
});

const POOLS = [
  pool("10.0.0.0-24", "10.0.0.0/24", { 1: record("team/a", "net1"), 2: record("team/b"), 3: record("team/c", "net1"), x: record("team/x") }, { "railnet.io/adopted": "true" }),
  pool("rail1-10.0.0.0-28", "10.0.0.0/28", {}),
  pool("odd", "10.5.0.0/24", { 1: record("team/o") }),
]; // biome-ignore format: rows
const RESERVED = [
  reservation("10.0.0.1", { podref: "team/a", ifname: "net1", containerid: "c" }, { "railnet.io/pool": "10.0.0.0-24" }),
  reservation("10.0.0.3", { podref: "team/other", ifname: "net1", containerid: "c" }, { "railnet.io/pool": "10.0.0.0-24" }),
  reservation("10.0.0.7", { podref: "team/d", ifname: "net1", containerid: "c" }, { "railnet.io/pool": "10.0.0.0-24" }),
  reservation("10.0.0.8", { podref: "team/e", ifname: "net1", containerid: "c" }, { "railnet.io/pool": "10.0.0.0-24" }, "2026-01-01T00:09:30Z"),
  reservation("rail1-10.0.0.5", { podref: "team/f", ifname: "net1", containerid: "c" }, { "railnet.io/pool": "rail1-10.0.0.0-28" }, "2026-01-01T00:09:00Z"),
  reservation("rail1-10.0.0.6", { podref: "team/w", ifname: "net1" }),
]; // biome-ignore format: rows
const snapshot = { mode: "absent" as const, ...locate(POOLS, [], RESERVED) };

t.test("readinessOf() says of each pool how records and reservations stand to each other", async (t) => {
  const of = readinessOf(snapshot as never, NOW);
  t.same(of, [
    { pool: "10.0.0.0-24", isAdopted: true, isNamed: true, records: 4, reservations: 4, unreserved: 1, unrecorded: 2, stuck: 1, disputed: 1 },
    { pool: "rail1-10.0.0.0-28", isAdopted: false, isNamed: true, records: 0, reservations: 2, unreserved: 0, unrecorded: 2, stuck: 2, disputed: 0 },
    { pool: "odd", isAdopted: false, isNamed: false, records: 1, reservations: 0, unreserved: 1, unrecorded: 0, stuck: 0, disputed: 0 },
  ]);
}); // biome-ignore format: rows

t.test("addressesOf() has an entry for each owner that somebody names", async (t) => {
  t.same(addressesOf(snapshot as never).map(({ ip, network, podref, by }) => `${ip} ${network} ${podref} ${by}`), [
    "10.0.0.1  team/a both",
    "10.0.0.2  team/b record",
    "10.0.0.3  team/other reservation",
    "10.0.0.3  team/c record",
    "10.0.0.5 rail1 team/f reservation",
    "10.0.0.6 rail1 team/w reservation",
    "10.0.0.7  team/d reservation",
    "10.0.0.8  team/e reservation",
  ]);
}); // biome-ignore format: rows

t.test("AddressIndex knows the narrowest pool of an address, and the networks that have it", async (t) => {
  const more = [pool("10.0.0.0-28", "10.0.0.0/28", {}), pool("fd00----64", "fd00::/64", {})];
  const locations = locate([...POOLS, ...more], [], []).pools.flatMap(({ location }) => location ?? []);
  const index = new AddressIndex(locations);
  t.equal(index.locationOf("", "10.0.0.5")?.pool.name, "10.0.0.0-28");
  t.equal(index.locationOf("", "10.0.0.15")?.pool.name, "10.0.0.0-28");
  t.equal(index.locationOf("", "10.0.0.16")?.pool.name, "10.0.0.0-24");
  t.equal(index.locationOf("", "10.0.1.0"), undefined);
  t.equal(index.locationOf("rail1", "10.0.0.16"), undefined);
  t.equal(index.locationOf("", "nonsense"), undefined);
  t.same(index.networksOf("10.0.0.5"), ["", "rail1"]);
  t.same(index.networksOf("10.0.0.200"), [""]);
  t.same(index.networksOf("nonsense"), []);
});

const STATE: TakeoverState = {
  mode: "coexist",
  pools: [{ pool: "p", isAdopted: true, isNamed: true, records: 1, reservations: 2, unreserved: 3, unrecorded: 4, stuck: 0, disputed: 5 }],
  whereabouts: { leaseRenewed: old, isLive: true, workloads: ["DaemonSet/whereabouts"] },
  agents: [
    { node: "a", isHeard: true, hasNode: true, mode: "coexist" },
    { node: "b", isHeard: true, hasNode: true },
    { node: "c", isHeard: false, hasNode: true, mode: "absent" },
  ] as never,
  nodesWithoutAgent: ["d"],
}; // biome-ignore format: rows

t.test("summary() says what is true, what was done, what is in the way, and what comes next", async (t) => {
  t.equal(
    summary(STATE, { did: "nothing", obstacles: ["one", "two"], next: "wait" }),
    [
      "done: nothing",
      "mode: coexist (a claim is a reservation and a record)",
      `Whereabouts: live, lease renewed at ${old}, DaemonSet/whereabouts`,
      "agents: 1 coexist, 1 not said, 1 silent; 1 node without",
      "",
      "POOL  ADOPTED  RECORDS  RESERVATIONS  UNRESERVED  UNRECORDED  DISPUTED",
      "p     yes            1             2           3           4         5",
      "",
      "in the way:",
      "  one",
      "  two",
      "next: wait",
      "",
    ].join("\n"),
  );
  const none = { leaseRenewed: "", isLive: false, workloads: null };
  const text = summary({ ...STATE, mode: "absent", pools: [], whereabouts: none, agents: [], nodesWithoutAgent: [] }, { did: "", obstacles: [], next: "go" });
  t.equal(
    text,
    [
      "mode: absent (a claim is a reservation)",
      "Whereabouts: not seen alive, no lease, cannot tell whether it is installed",
      "agents: none",
      "",
      "POOL  ADOPTED  RECORDS  RESERVATIONS  UNRESERVED  UNRECORDED  DISPUTED",
      "",
      "next: go",
      "",
    ].join("\n"),
  );
}); // biome-ignore format: rows
