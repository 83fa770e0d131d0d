import t from "tap";
import { addressesOf } from "../../../cli/ipam/addresses.ts";
import { listing, matching } from "../../../cli/ipam/listing.ts";
import { nodeStats, poolStats } from "../../../cli/ipam/pool-stats.ts";
import { NOW_MS, stateOf } from "./support/cluster-state.ts";

const POOL = "rail0-10.0.0.0-24";
const ours = (of: string, node: string) => ({ of, pool: POOL, network: "rail0", node });
const { snapshot } = stateOf({
  pools: {
    [POOL]: { range: "10.0.0.0/24", adopted: true, records: { 9: "default/nine", 100: "default/hundred", abc: "x/y" } },
    "fd00---64": { range: "fd00::/64", records: { 1: "other/six" } },
  },
  reservations: {
    "rail0-10.0.0.100": ours("default/hundred", "node-b"),
    "rail0-10.0.0.20": ours("default/twenty net2", "node-a"),
    "rail0-10.0.0.9": "default/nine",
    "rail9-10.9.0.1": "default/far",
  },
});
const ADDRESSES = addressesOf(snapshot);

t.test("addressesOf() joins records with reservations, sorted by number and family", async (t) => {
  t.same(
    ADDRESSES.map(({ ip, network, pool, podref, node, by }) => [ip, network, pool, podref, node, by]),
    [
      ["10.0.0.9", "rail0", POOL, "default/nine", "", "both"],
      ["10.0.0.20", "rail0", POOL, "default/twenty", "node-a", "reservation"],
      ["10.0.0.100", "rail0", POOL, "default/hundred", "node-b", "both"],
      ["10.9.0.1", "rail9", "", "default/far", "", "reservation"],
      ["fd00::1", "", "fd00---64", "other/six", "", "record"],
    ],
  );
});

t.test("addressesOf() shows both owners of an address that has two", async (t) => {
  const { snapshot } = stateOf({
    pools: { [POOL]: { range: "10.0.0.0/24", records: { 1: "default/b" } } },
    reservations: { "rail0-10.0.0.1": "default/a" },
  });
  t.same(
    addressesOf(snapshot)
      .map(({ podref, by }) => [podref, by])
      .sort(),
    [
      ["default/a", "reservation"],
      ["default/b", "record"],
    ],
  );
});

for (const { filters, want } of [
  { filters: {}, want: ["10.0.0.9", "10.0.0.20", "10.0.0.100", "10.9.0.1", "fd00::1"] },
  { filters: { network: "rail0" }, want: ["10.0.0.9", "10.0.0.20", "10.0.0.100"] },
  { filters: { network: "" }, want: ["fd00::1"] },
  { filters: { pool: "fd00---64" }, want: ["fd00::1"] },
  { filters: { node: "node-b" }, want: ["10.0.0.100"] },
  { filters: { pod: "default/twenty" }, want: ["10.0.0.20"] },
  { filters: { pod: "six" }, want: ["fd00::1"] },
  { filters: { pod: "default/six" }, want: [] },
  { filters: { network: "rail0", node: "node-a" }, want: ["10.0.0.20"] },
])
  t.test(`matching() with ${JSON.stringify(filters)} keeps ${want.length}`, async (t) =>
    t.same(ADDRESSES.filter(matching(filters)).map(({ ip }) => ip), want),
  ); // biome-ignore format: rows

t.test("listing() is a table with a count", async (t) => {
  t.equal(
    listing(ADDRESSES.slice(0, 2), NOW_MS),
    [
      "ADDRESS    NETWORK  POOL               POD             INTERFACE  NODE    AGE  BY",
      "10.0.0.9   rail0    rail0-10.0.0.0-24  default/nine    net1       -       60m  both",
      "10.0.0.20  rail0    rail0-10.0.0.0-24  default/twenty  net2       node-a  60m  reservation",
      "2 addresses",
      "",
    ].join("\n"),
  );
  t.equal(listing([], NOW_MS), "no addresses\n");
});

t.test("poolStats() counts what is used, free and only half there", async (t) => {
  t.same(
    poolStats(snapshot.pools, ADDRESSES).map(({ pool, size, used, free, reservations, records, lag }) => [
      pool,
      size,
      used,
      free,
      reservations,
      records,
      lag,
    ]),
    [
      ["", "", 1, "", 1, 0, 1],
      ["fd00---64", "18446744073709551614", 1, "18446744073709551613", 0, 1, 1],
      [POOL, "254", 3, "251", 3, 2, 1],
    ],
  );
});

t.test("nodeStats() has the fullest node first", async (t) => {
  t.same(nodeStats(ADDRESSES), [
    { node: "", used: 3 },
    { node: "node-a", used: 1 },
    { node: "node-b", used: 1 },
  ]);
});
