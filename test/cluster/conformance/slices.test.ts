// Case 35, node slices, as far as an ADD sees them: the pool's name tells the slice. The lists themselves, node by node,
// are rows of test/ipam/whereabouts/slices.test.ts; what the leader gives back, of test/cluster/addresses/slices.test.ts.
import t from "tap";
import { Cluster } from "./support/cluster.ts";
import { check } from "./support/run.ts";
import { add, del, type Scenario } from "./support/scenario.ts";

const IPAM = { range: "10.20.0.0/16", node_slice_size: "/24", network_name: "rail0" };
const P1 = "c1 default/p1 net1";
const notTheirs = "its plugin panics unless its controller has given the node a slice";

/** The NodeSlicePool of rail0; entries are `node@slice`. */
const list = (sliceSize: string, ...entries: string[]) => ({
  rail0: {
    spec: { range: IPAM.range, sliceSize },
    status: {
      allocations: entries.map((entry) => {
        const [nodeName, sliceRange] = entry.split("@");
        return { nodeName, sliceRange };
      }),
    },
  },
});
/** p1 alone has the first address of a slice. */
const after = (slice: string, ip: string) => ({
  pools: { [`rail0-node-a-${slice.replace("/", "-")}`]: [slice, { 1: P1 }] as const },
  reservations: { [`rail0-${ip}`]: "default/p1 net1" },
});

const SLICED: readonly Scenario[] = [
  { name: "35 the first ADD makes the list", ipam: IPAM, steps: [add("p1", "10.20.0.1/16")], after: after("10.20.0.0/24", "10.20.0.1"), notTheirs },
  { name: "35 a node joins a list", ipam: IPAM, slices: list("/24", "node-b@10.20.0.0/24", "@10.20.1.0/24", "@10.20.2.0/24"), steps: [add("p1", "10.20.1.1/16")], after: after("10.20.1.0/24", "10.20.1.1"), notTheirs },
  { name: "35 a node that comes back gets the slice of its pool", ipam: IPAM, seed: { pools: { "rail0-node-a-10.20.2.0-24": ["10.20.2.0/24", {}] } }, slices: list("/24", "node-b@10.20.0.0/24", "@10.20.1.0/24", "@10.20.2.0/24"), steps: [add("p1", "10.20.2.1/16")], after: after("10.20.2.0/24", "10.20.2.1"), notTheirs },
  { name: "35 a slice that is excluded as a whole is nobody's", ipam: { ...IPAM, exclude: ["10.20.0.0/24"] }, steps: [add("p1", "10.20.1.1/16")], after: after("10.20.1.0/24", "10.20.1.1"), notTheirs },
  { name: "35 size changed: a node keeps its slice", ipam: { ...IPAM, node_slice_size: "/25" }, slices: list("/24", "node-b@10.20.0.0/24", "node-a@10.20.1.0/24"), steps: [add("p1", "10.20.1.1/16")], after: after("10.20.1.0/24", "10.20.1.1") },
  { name: "35 size changed: what is free is cut anew", ipam: { ...IPAM, node_slice_size: "/25" }, slices: list("/24", "node-b@10.20.0.0/24", "@10.20.1.0/24"), steps: [add("p1", "10.20.1.1/16")], after: after("10.20.1.0/25", "10.20.1.1"), notTheirs },
  { name: "35 every slice has a node", ipam: { ...IPAM, range: "10.20.0.0/23" }, slices: { rail0: { ...list("/24", "node-b@10.20.0.0/24", "node-c@10.20.1.0/24").rail0, spec: { range: "10.20.0.0/23", sliceSize: "/24" } } }, steps: [add("p1", new Error("cannot find a free slice in NodeSlicePool rail0 for node-a: …")), del("p1")], notTheirs },
  {
    name: "35 a slice that is full, though its neighbours are not",
    ipam: { ...IPAM, node_slice_size: "/30" },
    slices: list("/30", "node-b@10.20.0.0/30", "node-a@10.20.0.4/30"),
    steps: [add("p1", "10.20.0.5/16"), add("p2", "10.20.0.6/16"), add("p3", new Error("error at storage engine: Could not allocate IP in range: ip: 10.20.0.5 / - 10.20.0.6 / range: 10.20.0.4/30 / excludeRanges: []"))],
    after: { pools: { "rail0-node-a-10.20.0.4-30": ["10.20.0.4/30", { 1: P1, 2: "c2 default/p2 net1" }] }, reservations: { "rail0-10.20.0.5": "default/p1 net1", "rail0-10.20.0.6": "default/p2 net1" } },
    fix: "a full slice's error",
    theirs: { answers: { 2: new Error("error at storage engine: Could not allocate IP in range: ip: 10.20.0.5 / - 10.20.0.6 / range: 10.20.0.0/16 / excludeRanges: []") } },
  },
  { name: "35 an unnamed network's list has the name of the configuration", ipam: { range: "10.20.0.0/16", node_slice_size: "24" }, slices: { net: list("/24", "node-b@10.20.0.0/24", "node-a@10.20.1.0/24").rail0 }, steps: [add("p1", "10.20.1.1/16")], after: { pools: { "node-a-10.20.1.0-24": ["10.20.1.0/24", { 1: P1 }] }, reservations: { "10.20.1.1": "default/p1 net1" } } },
  { name: "35 slices of IPv6", ipam: { range: "fd00:20::/48", node_slice_size: "/64", network_name: "rail0" }, steps: [add("p1", "fd00:20::1/48")], after: { pools: { "rail0-node-a-fd00-20---64": ["fd00:20::/64", { 1: P1 }] }, reservations: { "rail0-fd00-20--1": "default/p1 net1" } }, notTheirs },
  { name: "35 slices of IPv6, the third node", ipam: { range: "fd00:20::/48", node_slice_size: "/64", network_name: "rail0" }, slices: { rail0: { ...list("/64", "node-b@fd00:20::/64", "node-c@fd00:20:0:1::/64", "@fd00:20:0:2::/64").rail0, spec: { range: "fd00:20::/48", sliceSize: "/64" } } }, steps: [add("p1", "fd00:20:0:2::1/48")], after: { pools: { "rail0-node-a-fd00-20-0-2---64": ["fd00:20:0:2::/64", { 1: P1 }] }, reservations: { "rail0-fd00-20-0-2--1": "default/p1 net1" } }, notTheirs },
]; // biome-ignore format: rows

t.setTimeout(600_000);
const cluster = await Cluster.start("upstream");
t.teardown(() => cluster[Symbol.asyncDispose]());

for (const scenario of SLICED) t.test(scenario.name, (t) => check(t, cluster, scenario));
