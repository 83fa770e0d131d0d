// The golden examples: calls, results and objects as Whereabouts 0.9.4 makes them, on its own definitions of its
// resources. Each goes to the real one too.
import t from "tap";
import { Cluster } from "./support/cluster.ts";
import { check } from "./support/run.ts";
import { add, del, type Scenario } from "./support/scenario.ts";

const R28 = { range: "192.168.2.225/28", exclude: ["192.168.2.229/30", "192.168.2.236/32"] };
const DUAL = { ipRanges: [{ range: "192.168.10.1/24" }, { range: "abcd::1/64" }] };
const FIVE = {
  pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "zz default/other net1", 5: "old default/p1 net1" }] },
  reservations: { "10.0.0.1": "default/other net1", "10.0.0.5": "default/p1 net1" },
} as const;
const OVERLAP = {
  pools: {
    "192.168.22.0-24": ["192.168.22.0/24", { 1: "ca default/a net1" }],
    "192.168.22.0-28": ["192.168.22.0/28", {}],
  },
  reservations: { "192.168.22.1": "default/a net1" },
} as const;

const GOLDEN: readonly Scenario[] = [
  {
    name: "G1 the README's configuration: excludes, and the lowest free address again after a DEL",
    version: "0.3.0",
    ipam: R28,
    steps: [
      add("p1", { cniVersion: "0.3.0", ips: [{ version: "4", address: "192.168.2.225/28" }], dns: {} }),
      add("p2", "192.168.2.226/28"),
      add("p3", "192.168.2.227/28"),
      add("p4", "192.168.2.232/28"),
      add("p5", "192.168.2.233/28"),
      del("p2"),
      add("p6", "192.168.2.226/28"),
    ],
    after: {
      pools: { "192.168.2.224-28": ["192.168.2.224/28", { 1: "c1 default/p1 net1", 2: "c6 default/p6 net1", 3: "c3 default/p3 net1", 8: "c4 default/p4 net1", 9: "c5 default/p5 net1" }] },
      reservations: { "192.168.2.225": "default/p1 net1", "192.168.2.226": "default/p6 net1", "192.168.2.227": "default/p3 net1", "192.168.2.232": "default/p4 net1", "192.168.2.233": "default/p5 net1" },
    },
  },
  {
    name: "G2 from A to B, with routes and dns",
    version: "1.1.0",
    ipam: { range: "192.168.1.11-192.168.1.23/24", gateway: "192.168.10.1", routes: [{ dst: "0.0.0.0/0" }, { dst: "10.0.0.0/8", gw: "192.168.1.254" }], dns: { nameservers: ["8.8.8.8"] } },
    steps: [add("p1", { cniVersion: "1.1.0", dns: { nameservers: ["8.8.8.8"] }, ips: [{ address: "192.168.1.11/24", gateway: "192.168.10.1" }], routes: [{ dst: "0.0.0.0/0" }, { dst: "10.0.0.0/8", gw: "192.168.1.254" }] })],
    after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", { 11: "c1 default/p1 net1" }] }, reservations: { "192.168.1.11": "default/p1 net1" } },
  },
  {
    name: "G2 from A to B before A: the end is ignored",
    ipam: { range: "10.0.0.9-10.0.0.5/24" },
    steps: [add("p1", "10.0.0.9/24")],
    after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 9: "c1 default/p1 net1" }] }, reservations: { "10.0.0.9": "default/p1 net1" } },
  },
  {
    name: "G3 IPv6",
    version: "0.4.0",
    ipam: { range: "2001::0/116", gateway: "2001::f:1" },
    steps: [add("p1", { cniVersion: "0.4.0", ips: [{ version: "6", address: "2001::1/116", gateway: "2001::f:1" }], dns: {} })],
    after: { pools: { "2001---116": ["2001::/116", { 1: "c1 default/p1 net1" }] }, reservations: { "2001--1": "default/p1 net1" } },
  },
  {
    name: "G4 dual stack, and one gateway for both",
    ipam: { ...DUAL, gateway: "192.168.10.254" },
    steps: [add("p1", { cniVersion: "1.0.0", ips: [{ address: "192.168.10.1/24", gateway: "192.168.10.254" }, { address: "abcd::1/64", gateway: "192.168.10.254" }] })],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c1 default/p1 net1" }], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "192.168.10.1": "default/p1 net1", "abcd--1": "default/p1 net1" } },
  },
  {
    name: "G4 dual stack given back",
    ipam: { ...DUAL, gateway: "192.168.10.254" },
    steps: [add("p1", ["192.168.10.1/24", "abcd::1/64"]), del("p1")],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", {}], "abcd---64": ["abcd::/64", {}] } },
  },
  {
    name: "G5 range before ipRanges, in an old result",
    version: "0.2.0",
    ipam: { ipRanges: [{ range: "192.168.10.1/24" }], range: "abcd::1/64" },
    steps: [add("p1", { cniVersion: "0.2.0", ip4: { ip: "192.168.10.1/24" }, ip6: { ip: "abcd::1/64" }, dns: {} })],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c1 default/p1 net1" }], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "192.168.10.1": "default/p1 net1", "abcd--1": "default/p1 net1" } },
  },
  {
    name: "G5 range before ipRanges, in their order",
    version: "0.3.1",
    ipam: { ipRanges: [{ range: "192.168.10.1/24" }], range: "abcd::1/64" },
    steps: [add("p1", ["abcd::1/64", "192.168.10.1/24"])],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c1 default/p1 net1" }], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "192.168.10.1": "default/p1 net1", "abcd--1": "default/p1 net1" } },
  },
  {
    name: "G6 a pod's new sandbox takes its address over, also twice; the old sandbox's DEL touches nothing",
    ipam: { range: "10.0.0.0/24" },
    seed: FIVE,
    steps: [add("p1", "10.0.0.5/24", { id: "new" }), del("p1", { id: "old" }), add("p1", "10.0.0.5/24", { id: "new" })],
    after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "zz default/other net1", 5: "new default/p1 net1" }] }, reservations: FIVE.reservations },
  },
  {
    name: "G6 the new sandbox's DEL gives it back",
    ipam: { range: "10.0.0.0/24" },
    seed: FIVE,
    steps: [add("p1", "10.0.0.5/24", { id: "new" }), del("p1", { id: "new" })],
    after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "zz default/other net1" }] }, reservations: { "10.0.0.1": "default/other net1" } },
  },
  {
    name: "G7 overlapping pools give each address once",
    ipam: { range: "192.168.22.0/28" },
    seed: OVERLAP,
    steps: [add("b", "192.168.22.2/28", { id: "cb" })],
    after: { pools: { ...OVERLAP.pools, "192.168.22.0-28": ["192.168.22.0/28", { 2: "cb default/b net1" }] }, reservations: { ...OVERLAP.reservations, "192.168.22.2": "default/b net1" } },
  },
  {
    name: "G7 overlapping pools, which are not to know of each other",
    ipam: { range: "192.168.22.0/28", enable_overlapping_ranges: false },
    seed: OVERLAP,
    steps: [add("b", "192.168.22.1/28", { id: "cb" })],
    after: { pools: { ...OVERLAP.pools, "192.168.22.0-28": ["192.168.22.0/28", { 1: "cb default/b net1" }] }, reservations: OVERLAP.reservations },
  },
  {
    name: "G7 the second interface of a pod has an address of its own",
    ipam: { range: "192.168.22.0/28" },
    seed: OVERLAP,
    steps: [add("a", "192.168.22.2/28", { id: "ca", ifname: "net2" }), del("a", { id: "ca", ifname: "net2" })],
    after: OVERLAP,
    fix: "the second interface of a pod",
    theirs: { answers: { 0: ["192.168.22.1/28"] }, after: { pools: OVERLAP.pools } },
  },
  {
    name: "G8 network_name and bounds",
    ipam: { range: "10.10.0.0/16", range_start: "10.10.1.0", range_end: "10.10.1.3", network_name: "rail0" },
    steps: [add("p1", "10.10.1.0/16"), add("p2", "10.10.1.1/16")],
    after: { pools: { "rail0-10.10.0.0-16": ["10.10.0.0/16", { 256: "c1 default/p1 net1", 257: "c2 default/p2 net1" }] }, reservations: { "rail0-10.10.1.0": "default/p1 net1", "rail0-10.10.1.1": "default/p2 net1" } },
  },
  {
    name: "G9 a node's slice, where bounds and excludes count",
    ipam: { range: "10.20.0.0/16", node_slice_size: "/24", network_name: "rail0", exclude: ["10.20.1.9/32"], range_start: "10.20.1.9" },
    slices: { rail0: { spec: { range: "10.20.0.0/16", sliceSize: "/24" }, status: { allocations: [{ nodeName: "node-b", sliceRange: "10.20.0.0/24" }, { nodeName: "node-a", sliceRange: "10.20.1.0/24" }] } } },
    steps: [add("p1", "10.20.1.10/16")],
    after: { pools: { "rail0-node-a-10.20.1.0-24": ["10.20.1.0/24", { 10: "c1 default/p1 net1" }] }, reservations: { "rail0-10.20.1.10": "default/p1 net1" } },
    fix: "`node_slice_size`: `exclude`",
    theirs: { answers: { 0: ["10.20.1.1/16"] }, after: { pools: { "rail0-node-a-10.20.1.0-24": ["10.20.1.0/24", { 1: "c1 default/p1 net1" }] }, reservations: { "rail0-10.20.1.1": "default/p1 net1" } } },
  },
  {
    name: "G9 a node's slice without more",
    ipam: { range: "10.20.0.0/16", node_slice_size: "/24", network_name: "rail0" },
    slices: { rail0: { spec: { range: "10.20.0.0/16", sliceSize: "/24" }, status: { allocations: [{ nodeName: "node-b", sliceRange: "10.20.0.0/24" }, { nodeName: "node-a", sliceRange: "10.20.1.0/24" }] } } },
    steps: [add("p1", "10.20.1.1/16"), add("p2", "10.20.1.2/16"), del("p1")],
    after: { pools: { "rail0-node-a-10.20.1.0-24": ["10.20.1.0/24", { 2: "c2 default/p2 net1" }] }, reservations: { "rail0-10.20.1.2": "default/p2 net1" } },
  },
  {
    name: "G10 fixed addresses, and CNI_ARGS behind them",
    ipam: { range: "192.168.1.44/28", gateway: "192.168.1.1", addresses: [{ address: "10.10.0.1/24", gateway: "10.10.0.254" }, { address: "3ffe:ffff:0:01ff::1/64", gateway: "3ffe:ffff:0::1" }] },
    steps: [add("p1", { cniVersion: "1.0.0", ips: [{ address: "192.168.1.33/28", gateway: "192.168.1.1" }, { address: "10.10.0.1/24", gateway: "10.10.0.254" }, { address: "3ffe:ffff:0:1ff::1/64", gateway: "3ffe:ffff::1" }, { address: "172.16.5.5/24", gateway: "172.16.5.1" }, { address: "172.16.6.6/24" }] }, { args: ["IP=172.16.5.5/24, 172.16.6.6/24", "GATEWAY=172.16.5.1"] })],
    after: { pools: { "192.168.1.32-28": ["192.168.1.32/28", { 1: "c1 default/p1 net1" }] }, reservations: { "192.168.1.33": "default/p1 net1" } },
  },
  {
    name: "G11 a full /30",
    ipam: { range: "10.0.0.0/30", exclude: ["10.0.0.9/32"] },
    seed: { pools: { "10.0.0.0-30": ["10.0.0.0/30", { 1: "ca default/a net1", 2: "cb default/b net1" }] }, reservations: { "10.0.0.1": "default/a net1", "10.0.0.2": "default/b net1" } },
    steps: [add("p1", new Error("error at storage engine: Could not allocate IP in range: ip: 10.0.0.1 / - 10.0.0.2 / range: 10.0.0.0/30 / excludeRanges: [10.0.0.9/32]"))],
    after: { pools: { "10.0.0.0-30": ["10.0.0.0/30", { 1: "ca default/a net1", 2: "cb default/b net1" }] }, reservations: { "10.0.0.1": "default/a net1", "10.0.0.2": "default/b net1" } },
  },
  {
    name: "G12 addresses more than 2^63 behind the base",
    ipam: { range: "fd00::/64", range_start: "fd00::8000:0:0:0" },
    steps: [add("p1", new Error("cannot use range fd00::/64: its addresses are more than 2^63 after fd00::…")), add("p2", new Error("cannot use range fd00::/64…"))],
    fix: "records more than 2^63-1",
    theirs: {
      answers: { 0: ["fd00::8000:0:0:0/64"], 1: ["fd00::8000:0:0:1/64"] },
      after: { pools: { "fd00---64": ["fd00::/64", { "9223372036854775809": "c2 default/p2 net1" }] }, reservations: { "fd00--8000-0-0-0": "default/p1 net1", "fd00--8000-0-0-1": "default/p2 net1" } },
    },
  },
  {
    name: "G13 keys and records that are nobody's, or of an old Whereabouts",
    ipam: { range: "10.0.0.0/24" },
    seed: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 3: "resv:node-a  ", 5: "c1 default/p1 ", abc: "x y " }] } },
    steps: [del("p1"), add("p1", "10.0.0.1/24"), add("p2", "10.0.0.2/24"), add("p3", "10.0.0.4/24")],
    after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "c1 default/p1 net1", 2: "c2 default/p2 net1", 3: "resv:node-a  ", 4: "c3 default/p3 net1", 5: "c1 default/p1 ", abc: "x y " }] }, reservations: { "10.0.0.1": "default/p1 net1", "10.0.0.2": "default/p2 net1", "10.0.0.4": "default/p3 net1" } },
    // Its leader adopts the pool: what is somebody's, if nobody knows whose, is reserved too.
    afterAgent: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "c1 default/p1 net1", 2: "c2 default/p2 net1", 3: "resv:node-a  ", 4: "c3 default/p3 net1", 5: "c1 default/p1 ", abc: "x y " }] }, reservations: { "10.0.0.1": "default/p1 net1", "10.0.0.2": "default/p2 net1", "10.0.0.3": " ", "10.0.0.4": "default/p3 net1", "10.0.0.5": "default/p1 " } },
    fix: "keys of a pool that are no number",
    theirs: { after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "c1 default/p1 net1", 2: "c2 default/p2 net1", 3: "resv:node-a  ", 4: "c3 default/p3 net1", 5: "c1 default/p1 " }] }, reservations: { "10.0.0.1": "default/p1 net1", "10.0.0.2": "default/p2 net1", "10.0.0.4": "default/p3 net1" } } },
  },
  {
    name: "G14 a pod's record whose address another pod has reserved: the pod gets another address",
    ipam: { range: "10.0.0.0/24" },
    seed: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 5: "c1 default/p1 net1" }] }, reservations: { "10.0.0.5": "default/other net1" } },
    steps: [add("p1", "10.0.0.1/24")],
    after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: "c1 default/p1 net1", 5: "c1 default/p1 net1" }] }, reservations: { "10.0.0.1": "default/p1 net1", "10.0.0.5": "default/other net1" } },
    fix: "a pod with a record whose address another pod has reserved",
    theirs: { answers: { 0: new Error("error at storage engine: …") }, after: { pools: { "10.0.0.0-24": ["10.0.0.0/24", { 5: "c1 default/p1 net1" }] }, reservations: { "10.0.0.5": "default/other net1" } } },
  },
  {
    name: "G15a DEL where the first range has no record",
    ipam: DUAL,
    seed: { pools: { "192.168.10.0-24": ["192.168.10.0/24", {}], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "abcd--1": "default/p1 net1" } },
    steps: [del("p1")],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", {}], "abcd---64": ["abcd::/64", {}] } },
    fix: "DEL ends at the first range",
    theirs: { after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", {}], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "abcd--1": "default/p1 net1" } } },
  },
  {
    name: "G15b DEL where the first reservation is gone",
    ipam: DUAL,
    seed: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c1 default/p1 net1" }], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "abcd--1": "default/p1 net1" } },
    steps: [del("p1")],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", {}], "abcd---64": ["abcd::/64", {}] } },
    fix: "DEL ends at the first range",
    theirs: { after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", {}], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "abcd--1": "default/p1 net1" } } },
  },
  {
    name: "G15c ADD of a pod that has the first of two addresses",
    ipam: DUAL,
    seed: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c0 default/p1 net1" }] }, reservations: { "192.168.10.1": "default/p1 net1" } },
    steps: [add("p1", ["192.168.10.1/24", "abcd::1/64"])],
    after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c1 default/p1 net1" }], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "192.168.10.1": "default/p1 net1", "abcd--1": "default/p1 net1" } },
    fix: "a pod that has the address of one range",
    theirs: { after: { pools: { "192.168.10.0-24": ["192.168.10.0/24", { 1: "c1 default/p1 net1" }], "abcd---64": ["abcd::/64", { 1: "c1 default/p1 net1" }] }, reservations: { "192.168.10.1": "default/p1 net1" } } },
  },
]; // biome-ignore format: rows

t.setTimeout(600_000);
const cluster = await Cluster.start("upstream");
t.teardown(() => cluster[Symbol.asyncDispose]());

for (const scenario of GOLDEN) t.test(scenario.name, (t) => check(t, cluster, scenario));
