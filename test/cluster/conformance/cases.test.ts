// Cases of Whereabouts' own suites, 1 to 38, as calls on a cluster, and some that it has none for. Each goes to the real
// one too. On Railnet's definitions of the resources.
import t from "tap";
import { Cluster } from "./support/cluster.ts";
import { check } from "./support/run.ts";
import { add, del, type Objects, type Scenario, type Step } from "./support/scenario.ts";

/** What is there when pods hold addresses of one range: address to `id podref ifname`. The key is the last of its parts. */
function held(
  name: string,
  range: string,
  records: Readonly<Record<number, string>>,
  ipOf: (key: string) => string,
): Objects {
  const reservations = Object.entries(records).map(([key, text]) => [ipOf(key), text.split(" ").slice(1).join(" ")]);
  return { pools: { [name]: [range, records] }, reservations: Object.fromEntries(reservations) };
}

/** Of pods in `192.168.1.0/24`. */
const in24 = (records: Readonly<Record<number, string>>): Objects =>
  held("192.168.1.0-24", "192.168.1.0/24", records, (key) => `192.168.1.${key}`);
const owner = (i: number | string): string => `c${i} default/p${i} net1`;
const twelve = Array.from({ length: 12 }, (_, i) => i + 1);
const R24 = { range: "192.168.1.0/24" };
const THREE = [1, 2, 3];
const SECOND = { ifname: "net2", ipam: { range: "10.9.0.0/24" } };
const TOO_SMALL =
  "error at storage engine: net mask is too short, subnet {10.0.0.0 fffffffe} has no usable IP addresses, it is too small";

/** An ADD of one configuration into an empty cluster. */
const first = (
  name: string,
  ipam: object,
  want: string,
  pool: string,
  range: string,
  key: string,
  reservation: string,
): Scenario => ({
  name,
  ipam,
  steps: [add("p1", want)],
  after: { pools: { [pool]: [range, { [key]: owner(1) }] }, reservations: { [reservation]: "default/p1 net1" } },
});

/** Pods that hold addresses in a pool, and one that comes. */
const OF_POOL: readonly Scenario[] = [
  {
    name: "1 a pod's record is used again, with the new container ID",
    ipam: R24,
    seed: in24({ 1: "old default/p1 net1" }),
    steps: [add("p1", "192.168.1.1/24")],
    after: in24({ 1: owner(1) }),
  },
  {
    name: "2 ADD, DEL, ADD gives the same address",
    ipam: R24,
    steps: [add("p1", "192.168.1.1/24"), del("p1"), add("p1", "192.168.1.1/24", { id: "c1b" })],
    after: in24({ 1: "c1b default/p1 net1" }),
  },
  {
    name: "3 twelve pods in turn, each deleted and added once",
    ipam: { range: "192.168.1.11-192.168.1.23/24" },
    steps: twelve.flatMap((i): Step[] => [
      add(`p${i}`, `192.168.1.${i + 10}/24`),
      del(`p${i}`),
      add(`p${i}`, `192.168.1.${i + 10}/24`),
    ]),
    after: in24(Object.fromEntries(twelve.map((i) => [i + 10, owner(i)]))),
  },
  {
    name: "14 bounds: all between them in order, then none",
    ipam: { ...R24, range_start: "192.168.1.5", range_end: "192.168.1.12" },
    steps: [
      ...[1, 2, 3, 4, 5, 6, 7, 8].map((i) => add(`p${i}`, `192.168.1.${i + 4}/24`)),
      add(
        "p9",
        new Error(
          "error at storage engine: Could not allocate IP in range: ip: 192.168.1.5 / - 192.168.1.12 / range: 192.168.1.0/24 / excludeRanges: []",
        ),
      ),
    ],
    after: in24(Object.fromEntries([1, 2, 3, 4, 5, 6, 7, 8].map((i) => [i + 4, owner(i)]))),
  },
  {
    name: "22 an exclude that leaves nothing below range_end",
    ipam: {
      range: "192.168.1.0/28",
      range_start: "192.168.1.1",
      range_end: "192.168.1.6",
      exclude: ["192.168.1.4/30"],
    },
    steps: [
      ...[1, 2, 3].map((i) => add(`p${i}`, `192.168.1.${i}/28`)),
      add(
        "p4",
        new Error(
          "error at storage engine: Could not allocate IP in range: ip: 192.168.1.1 / - 192.168.1.6 / range: 192.168.1.0/28 / excludeRanges: [192.168.1.4/30]",
        ),
      ),
    ],
    after: held(
      "192.168.1.0-28",
      "192.168.1.0/28",
      { 1: owner(1), 2: owner(2), 3: owner(3) },
      (key) => `192.168.1.${key}`,
    ),
  },
  {
    name: "23 the first hole",
    ipam: R24,
    seed: in24({ 1: owner(7), 2: owner(8), 5: owner(9) }),
    steps: [add("p1", "192.168.1.3/24"), add("p2", "192.168.1.4/24"), add("p3", "192.168.1.6/24")],
    after: in24({ 1: owner(7), 2: owner(8), 5: owner(9), 3: owner(1), 4: owner(2), 6: owner(3) }),
  },
  {
    name: "36 two addresses: exhausted, and the pod that waits gets the one that is given back",
    ipam: { range: "10.10.0.0/30" },
    steps: [
      add("p1", "10.10.0.1/30"),
      add("p2", "10.10.0.2/30"),
      add(
        "p3",
        new Error(
          "error at storage engine: Could not allocate IP in range: ip: 10.10.0.1 / - 10.10.0.2 / range: 10.10.0.0/30 / excludeRanges: []",
        ),
      ),
      del("p3"),
      del("p1"),
      add("p3", "10.10.0.1/30"),
    ],
    after: held("10.10.0.0-30", "10.10.0.0/30", { 1: owner(3), 2: owner(2) }, (key) => `10.10.0.${key}`),
  },
  {
    name: "36 a StatefulSet scaled to three, to one and back: its pods have two networks and no gaps",
    ipam: R24,
    steps: [
      ...THREE.flatMap((i) => [add(`p${i}`, `192.168.1.${i}/24`), add(`p${i}`, `10.9.0.${i}/24`, SECOND)]),
      ...[3, 2].flatMap((i) => [del(`p${i}`), del(`p${i}`, SECOND)]),
      ...[2, 3].flatMap((i) => [add(`p${i}`, `192.168.1.${i}/24`), add(`p${i}`, `10.9.0.${i}/24`, SECOND)]),
    ],
    after: {
      pools: {
        "192.168.1.0-24": ["192.168.1.0/24", Object.fromEntries(THREE.map((i) => [i, owner(i)]))],
        "10.9.0.0-24": ["10.9.0.0/24", Object.fromEntries(THREE.map((i) => [i, `c${i} default/p${i} net2`]))],
      },
      reservations: Object.fromEntries(
        THREE.flatMap((i) => [
          [`192.168.1.${i}`, `default/p${i} net1`],
          [`10.9.0.${i}`, `default/p${i} net2`],
        ]),
      ),
    },
  },
  {
    name: "an address that was excluded and bounded since stays its pod's",
    ipam: { ...R24, exclude: ["192.168.1.0/28"], range_start: "192.168.1.100" },
    seed: in24({ 5: "old default/p1 net1" }),
    steps: [add("p1", "192.168.1.5/24")],
    after: in24({ 5: owner(1) }),
  },
  {
    name: "a pool whose range has host bits: keys count from it",
    ipam: { range: "10.10.0.0/16", range_start: "10.10.10.1" },
    seed: {
      pools: { "10.10.0.0-16": ["10.10.10.0/16", { 1: owner(7) }] },
      reservations: { "10.10.10.1": "default/p7 net1" },
    },
    steps: [add("p1", "10.10.10.2/16")],
    after: {
      pools: { "10.10.0.0-16": ["10.10.10.0/16", { 1: owner(7), 2: owner(1) }] },
      reservations: { "10.10.10.1": "default/p7 net1", "10.10.10.2": "default/p1 net1" },
    },
  },
  {
    name: ".255 and .0 within a wider range are given out",
    ipam: { range: "10.10.0.0/16", range_start: "10.10.0.254" },
    steps: [add("p1", "10.10.0.254/16"), add("p2", "10.10.0.255/16"), add("p3", "10.10.1.0/16")],
    after: {
      pools: { "10.10.0.0-16": ["10.10.0.0/16", { 254: owner(1), 255: owner(2), 256: owner(3) }] },
      reservations: {
        "10.10.0.254": "default/p1 net1",
        "10.10.0.255": "default/p2 net1",
        "10.10.1.0": "default/p3 net1",
      },
    },
  },
];

/** The first address of a configuration. */
const FIRST: readonly Scenario[] = [
  first("4 IPv6", { range: "2001::1/116" }, "2001::1/116", "2001---116", "2001::/116", "1", "2001--1"),
  first("5 zeros before", { range: "fd::1/116" }, "fd::1/116", "fd---116", "fd::/116", "1", "fd--1"),
  first("6 zeros behind", { range: "2001:db8:480:603d:0304:0403:000:0000-2001:db8:480:603d:0304:0403:0000:0004/64" }, "2001:db8:480:603d:304:403::/64", "2001-db8-480-603d---64", "2001:db8:480:603d::/64", String(0x0304_0403n << 32n), "2001-db8-480-603d-304-403--0"),
  first("7 a range that begins with its network", { range: "2001:db8:5422:0005::-2001:db8:5422:0005:7fff:ffff:ffff:ffff/64" }, "2001:db8:5422:5::1/64", "2001-db8-5422-5---64", "2001:db8:5422:5::/64", "1", "2001-db8-5422-5--1"),
  first("8 names of objects", { range: "fd00:0:0:10:0:0:3:1-fd00:0:0:10:0:0:3:6/64" }, "fd00::10:0:0:3:1/64", "fd00-0-0-10---64", "fd00:0:0:10::/64", String(0x3_0001), "fd00--10-0-0-3-1"),
  first("9 excludes", { ...R24, exclude: ["192.168.1.0/28", "192.168.1.16/28"] }, "192.168.1.32/24", "192.168.1.0-24", "192.168.1.0/24", "32", "192.168.1.32"),
  first("10 excludes of IPv6", { range: "2001::1/116", exclude: ["2001::0/128", "2001::1/128", "2001::2/128"] }, "2001::3/116", "2001---116", "2001::/116", "3", "2001--3"),
  first("11 half of a range excluded", { range: "caa5::0/112", exclude: ["caa5::0/113"] }, "caa5::8000/112", "caa5---112", "caa5::/112", "32768", "caa5--8000"),
  first("17 an exclude without prefix length", { range: "192.168.0.0/29", exclude: ["192.168.0.1"] }, "192.168.0.2/29", "192.168.0.0-29", "192.168.0.0/29", "2", "192.168.0.2"),
  first("18 excludes that are not sorted", { range: "192.168.0.0/28", exclude: ["192.168.0.0/30", "192.168.0.6/31", "192.168.0.8/31", "192.168.0.4/30"] }, "192.168.0.10/28", "192.168.0.0-28", "192.168.0.0/28", "10", "192.168.0.10"),
  first("21 bounds outside of what there is", { range: "192.168.0.0/29", range_start: "192.168.0.0", range_end: "192.168.0.8" }, "192.168.0.1/29", "192.168.0.0-29", "192.168.0.0/29", "1", "192.168.0.1"),
  first("27 zeros before the parts of a range", { range: "00192.00168.1.5-000000192.168.1.25/24" }, "192.168.1.5/24", "192.168.1.0-24", "192.168.1.0/24", "5", "192.168.1.5"),
  first("27 zeros before the parts of range_start", { range: "192.168.1.0/24", range_start: "00192.00168.1.5", range_end: "000000192.168.1.25" }, "192.168.1.5/24", "192.168.1.0-24", "192.168.1.0/24", "5", "192.168.1.5"),
  first("28 a /30", { range: "10.0.0.0/30" }, "10.0.0.1/30", "10.0.0.0-30", "10.0.0.0/30", "1", "10.0.0.1"),
  first("28 one address", { range: "10.0.0.0/24", range_start: "10.0.0.9", range_end: "10.0.0.9" }, "10.0.0.9/24", "10.0.0.0-24", "10.0.0.0/24", "9", "10.0.0.9"),
  first("28 bounds the wrong way round: the end is ignored", { range: "10.0.0.0/24", range_start: "10.0.0.9", range_end: "10.0.0.5" }, "10.0.0.9/24", "10.0.0.0-24", "10.0.0.0/24", "9", "10.0.0.9"),
  first("28 a start outside of its range is ignored", { range: "10.0.0.0/24", range_start: "10.0.1.9" }, "10.0.0.1/24", "10.0.0.0-24", "10.0.0.0/24", "1", "10.0.0.1"),
  first("28 IPv6 bounds the wrong way round", { range: "fd00::/112", range_start: "fd00::9", range_end: "fd00::5" }, "fd00::9/112", "fd00---112", "fd00::/112", "9", "fd00--9"),
  first("30 the name of a named pool", { range: "10.0.0.0/8", network_name: "test" }, "10.0.0.1/8", "test-10.0.0.0-8", "10.0.0.0/8", "1", "test-10.0.0.1"),
  first("keys in capitals", { Range: "10.0.0.0/24", RANGE_START: "10.0.0.7", Exclude: ["10.0.0.7"] }, "10.0.0.8/24", "10.0.0.0-24", "10.0.0.0/24", "8", "10.0.0.8"),
]; // biome-ignore format: rows

/** An ADD that is refused; nothing is left but, in Whereabouts' words, sometimes an empty pool. */
const REFUSED: readonly Scenario[] = [
  { name: "20 an exclude that is none", ipam: { ...R24, exclude: ["192.168.0.1/123"] }, steps: [add("p1", new Error("error at storage engine: could not parse exclude range, err: \"invalid CIDR address: 192.168.0.1/123\""))], fix: "`exclude` and the size of a range", theirs: { after: in24({}) } },
  { name: "20 an exclude of IPv6 that is none", ipam: { ...R24, exclude: ["100::2::1"] }, steps: [add("p1", new Error("error at storage engine: could not parse exclude range, err: \"invalid CIDR address: 100::2::1\""))], fix: "`exclude` and the size of a range", theirs: { after: in24({}) } },
  { name: "28 a /31", ipam: { range: "10.0.0.0/31" }, steps: [add("p1", new Error(TOO_SMALL))], fix: "`exclude` and the size of a range", theirs: { after: { pools: { "10.0.0.0-31": ["10.0.0.0/31", {}] } } } },
  { name: "26 a start outside of its range", ipam: { range: "192.168.1.5-192.168.2.25/28" }, steps: [add("p1", new Error("invalid range start for CIDR 192.168.2.16/28: 192.168.1.5"))] },
  { name: "a name that is none: ::/126", ipam: { range: "::/126" }, steps: [add("p1", new Error("cannot use range ::/126: its object would be named \"---126\"…"))], fix: "`network_name` and ranges that make no name", theirs: { answers: { 0: new Error("error at storage engine: …") } } },
  { name: "CNI_ARGS that nobody knows", ipam: R24, steps: [add("p1", new Error("LoadArgs - CNI Args Parsing Error: ARGS: unknown args [\"FOO=bar\"]"), { args: ["FOO=bar", "IgnoreUnknown=0"] })] },
  { name: "CNI_ARGS that end in a semicolon", ipam: R24, steps: [add("p1", new Error("LoadArgs - CNI Args Parsing Error: ARGS: invalid pair \"\""), { args: [""] })] },
]; // biome-ignore format: rows

const V1116 = {
  "abcd---64": ["abcd::/64", { 1: owner(1) }],
  "192.168.1.0-24": ["192.168.1.0/24", { 1: owner(1) }],
} as const;
const DUAL = { ipRanges: [{ range: "192.168.1.0/24" }, { range: "abcd::/64" }] };
const LAB = { "192.168.1.1": "default/p1 net1", "abcd--1": "default/p1 net1" };

/** Several ranges, networks and interfaces. */
const SEVERAL: readonly Scenario[] = [
  {
    name: "12 fixed addresses behind a pool's, with routes and dns",
    ipam: { range: "192.168.1.44/28", gateway: "192.168.1.1", addresses: [{ address: "10.10.0.1/24", gateway: "10.10.0.254" }, { address: "3ffe:ffff:0:01ff::1/64", gateway: "3ffe:ffff:0::1" }], routes: [{ dst: "0.0.0.0/0" }, { dst: "192.168.0.0/16", gw: "10.10.5.1" }, { dst: "3ffe:ffff:0:01ff::1/64" }], dns: { nameservers: ["8.8.8.8"], domain: "example.com", search: ["example.com"] } },
    steps: [add("p1", { cniVersion: "1.0.0", ips: [{ address: "192.168.1.33/28", gateway: "192.168.1.1" }, { address: "10.10.0.1/24", gateway: "10.10.0.254" }, { address: "3ffe:ffff:0:1ff::1/64", gateway: "3ffe:ffff::1" }], routes: [{ dst: "0.0.0.0/0" }, { dst: "192.168.0.0/16", gw: "10.10.5.1" }, { dst: "3ffe:ffff:0:1ff::1/64" }], dns: { nameservers: ["8.8.8.8"], domain: "example.com", search: ["example.com"] } })],
    after: { pools: { "192.168.1.32-28": ["192.168.1.32/28", { 1: owner(1) }] }, reservations: { "192.168.1.33": "default/p1 net1" } },
  },
  { name: "13 a range and ipRanges of the same family", ipam: { range: "192.168.1.0/24", ipRanges: [{ range: "192.168.2.0/24", range_start: "192.168.2.7" }] }, steps: [add("p1", ["192.168.1.1/24", "192.168.2.7/24"]), add("p2", ["192.168.1.2/24", "192.168.2.8/24"]), del("p1")], after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", { 2: owner(2) }], "192.168.2.0-24": ["192.168.2.0/24", { 8: owner(2) }] }, reservations: { "192.168.1.2": "default/p2 net1", "192.168.2.8": "default/p2 net1" } } },
  {
    name: "15 overlapping IPv6 ranges",
    ipam: { range: "2001::2:3:0/124" },
    steps: [add("p1", "2001::2:3:1/124"), add("p2", "2001::2:3:2/126", { ipam: { range: "2001::2:3:0/126" } }), add("p3", "2001::2:3:3/124"), add("p4", new Error("error at storage engine: Could not allocate IP in range: …"), { ipam: { range: "2001::2:3:0/126" } })],
    after: { pools: { "2001--2-3-0-124": ["2001::2:3:0/124", { 1: owner(1), 3: owner(3) }], "2001--2-3-0-126": ["2001::2:3:0/126", { 2: owner(2) }] }, reservations: { "2001--2-3-1": "default/p1 net1", "2001--2-3-2": "default/p2 net1", "2001--2-3-3": "default/p3 net1" } },
  },
  {
    name: "15 overlapping ranges, one with a dozen addresses taken",
    ipam: R24,
    steps: [...twelve.map((i) => add(`p${i}`, `192.168.1.${i}/24`)), add("p13", "192.168.1.13/28", { ipam: { range: "192.168.1.0/28" } }), add("p14", "192.168.1.14/24"), add("p15", new Error("error at storage engine: Could not allocate IP in range: …"), { ipam: { range: "192.168.1.0/28" } })],
    after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", Object.fromEntries([...twelve, 14].map((i) => [i, owner(i)]))], "192.168.1.0-28": ["192.168.1.0/28", { 13: owner(13) }] }, reservations: Object.fromEntries([...twelve, 13, 14].map((i) => [`192.168.1.${i}`, `default/p${i} net1`])) },
  },
  {
    name: "16 the first of two overlapping ranges is not to know of the other",
    ipam: { range: "192.168.1.0/24", enable_overlapping_ranges: false },
    steps: [add("p1", "192.168.1.1/24"), add("p2", "192.168.1.1/28", { ipam: { range: "192.168.1.0/28" } })],
    after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", { 1: owner(1) }], "192.168.1.0-28": ["192.168.1.0/28", { 1: owner(2) }] }, reservations: { "192.168.1.1": "default/p2 net1" } },
  },
  {
    name: "19 nearly all of a range excluded, at once",
    ipam: { range: "2001:db8::/110", exclude: ["2001:db8::/111"] },
    steps: [add("p1", "2001:db8::2:0/110")],
    after: { pools: { "2001-db8---110": ["2001:db8::/110", { 131072: owner(1) }] }, reservations: { "2001-db8--2-0": "default/p1 net1" } },
  },
  {
    name: "37 a network's name keeps its addresses apart",
    ipam: { range: "10.11.0.0/16" },
    steps: [add("p1", "10.11.0.1/16"), add("p2", "10.11.0.1/16", { ipam: { range: "10.11.0.0/16", network_name: "one" } }), add("p3", "10.11.0.2/24", { ipam: { range: "10.11.0.0/24", network_name: "one" } })],
    after: { pools: { "10.11.0.0-16": ["10.11.0.0/16", { 1: owner(1) }], "one-10.11.0.0-16": ["10.11.0.0/16", { 1: owner(2) }], "one-10.11.0.0-24": ["10.11.0.0/24", { 2: owner(3) }] }, reservations: { "10.11.0.1": "default/p1 net1", "one-10.11.0.1": "default/p2 net1", "one-10.11.0.2": "default/p3 net1" } },
  },
  {
    name: "38 DEL where another pod has the reservation",
    ipam: R24,
    seed: { ...in24({ 1: owner(1) }), reservations: { "192.168.1.1": "default/other net1" } },
    steps: [del("p1")],
    after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", {}] }, reservations: { "192.168.1.1": "default/other net1" } },
    fix: "DEL deletes a reservation by its name",
    theirs: { after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", {}] } } },
  },
  { name: "38 two interfaces of a pod on one network", ipam: R24, steps: [add("p1", "192.168.1.1/24"), add("p1", "192.168.1.2/24", { ifname: "net2" }), del("p1")], after: { pools: { "192.168.1.0-24": ["192.168.1.0/24", { 2: "c1 default/p1 net2" }] }, reservations: { "192.168.1.2": "default/p1 net2" } } },
  { name: "dual stack: added, added again, deleted twice", ipam: DUAL, steps: [add("p1", ["192.168.1.1/24", "abcd::1/64"]), add("p1", ["192.168.1.1/24", "abcd::1/64"]), add("p2", ["192.168.1.2/24", "abcd::2/64"]), del("p2"), del("p2")], after: { pools: V1116, reservations: LAB } },
  {
    name: "an ADD whose second range is full leaves nothing of the first",
    ipam: { ipRanges: [{ range: "192.168.1.0/24" }, { range: "10.9.0.0/30" }] },
    seed: { pools: { "10.9.0.0-30": ["10.9.0.0/30", { 1: owner(7), 2: owner(8) }] }, reservations: { "10.9.0.1": "default/p7 net1", "10.9.0.2": "default/p8 net1" } },
    steps: [add("p1", new Error("error at storage engine: Could not allocate IP in range: ip: 10.9.0.1 / - 10.9.0.2 / range: 10.9.0.0/30 / excludeRanges: []"))],
    after: { pools: { "10.9.0.0-30": ["10.9.0.0/30", { 1: owner(7), 2: owner(8) }], "192.168.1.0-24": ["192.168.1.0/24", {}] }, reservations: { "10.9.0.1": "default/p7 net1", "10.9.0.2": "default/p8 net1" } },
    fix: "an ADD that fails at a later range",
    theirs: { after: { pools: { "10.9.0.0-30": ["10.9.0.0/30", { 1: owner(7), 2: owner(8) }], "192.168.1.0-24": ["192.168.1.0/24", { 1: owner(1) }] }, reservations: { "10.9.0.1": "default/p7 net1", "10.9.0.2": "default/p8 net1", "192.168.1.1": "default/p1 net1" } } },
  },
  { name: "no range at all", ipam: { addresses: [{ address: "10.9.0.1/24" }] }, steps: [add("p1", { cniVersion: "1.0.0", ips: [{ address: "10.9.0.1/24" }] })] },
]; // biome-ignore format: rows

/** The shape of a result in every version. */
const R = { range: "10.0.0.0/24", gateway: "10.0.0.254" };
const IN_10 = {
  pools: { "10.0.0.0-24": ["10.0.0.0/24", { 1: owner(1) }] },
  reservations: { "10.0.0.1": "default/p1 net1" },
} as const;
const OLD = { ip4: { ip: "10.0.0.1/24", gateway: "10.0.0.254" }, dns: {} };
const MIDDLE = { ips: [{ version: "4", address: "10.0.0.1/24", gateway: "10.0.0.254" }], dns: {} };
const NEW = { ips: [{ address: "10.0.0.1/24", gateway: "10.0.0.254" }] };
const VERSIONS: readonly Scenario[] = [
  ...["0.1.0", "0.2.0"].map((version) => ({ version, result: OLD })),
  ...["0.3.0", "0.3.1", "0.4.0"].map((version) => ({ version, result: MIDDLE })),
  ...["1.0.0", "1.1.0"].map((version) => ({ version, result: NEW })),
].map(({ version, result }) => ({
  name: `a result in version ${version}`,
  version,
  ipam: R,
  steps: [add("p1", { cniVersion: version, ...result })],
  after: IN_10,
}));
const UNVERSIONED: Scenario = {
  name: "a result without a version",
  version: "",
  ipam: R,
  steps: [add("p1", { cniVersion: "0.1.0", ...OLD })],
  after: IN_10,
};

t.setTimeout(600_000);
const cluster = await Cluster.start("ours");
t.teardown(() => cluster[Symbol.asyncDispose]());

for (const scenario of [...OF_POOL, ...FIRST, ...REFUSED, ...SEVERAL, ...VERSIONS, UNVERSIONED])
  t.test(scenario.name, (t) => check(t, cluster, scenario));
