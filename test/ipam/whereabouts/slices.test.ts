import t from "tap";
import { parseCidr, toText } from "../../../ipam/address.ts";
import { rangeOf } from "../../../ipam/range.ts";
import { assignSlices, type NodeSlice, type SliceState } from "../../../ipam/whereabouts/slice-nodes.ts";
import { divideRange, sliceRange } from "../../../ipam/whereabouts/slices.ts";

/** DivideRangeBySize() of pkg/iphelpers/iphelpers_test.go; IPv6 is ours. */
const QUARTERS = ["10.0.0.0/10", "10.64.0.0/10", "10.128.0.0/10", "10.192.0.0/10"];
for (const [cidr, size, want] of [
  ["10.0.0.0/8", "/10", QUARTERS],
  ["10.0.0.0/8", "10", QUARTERS],
  ["10.0.0.0/8", "/8", ["10.0.0.0/8"]],
  ["fd00::/62", "/64", ["fd00::/64", "fd00:0:0:1::/64", "fd00:0:0:2::/64", "fd00:0:0:3::/64"]],
] as const)
  t.test(`divideRange() cuts ${cidr} by ${size}`, async (t) => t.same([...divideRange(cidr, size)], want));

for (const [cidr, size, code, message] of [
  ["10.0.0.0/10", "/8", 7, /subnetMaskSize must be greater or equal than netMaskSize/],
  ["10.0.0.1/8", "/10", 999, "netCIDR is not a valid network address"],
  ["10.0.0.0", "/10", 999, "error parsing CIDR 10.0.0.0: invalid CIDR address: 10.0.0.0"],
  ["10.0.0.0/8", "x", 7, /want a prefix length such as \/24/],
  ["10.0.0.0/8", "/32", 7, /no address is left in a slice; want at most \/30/],
] as const)
  t.test(`divideRange() refuses ${cidr} by ${size}`, async (t) =>
    t.throws(() => [...divideRange(cidr, size)], { code, message }),
  );

t.test("divideRange() is lazy", async (t) => {
  const slices = divideRange("fd00::/32", "/96");
  t.same([slices.next().value, slices.next().value], ["fd00::/96", "fd00::1:0:0/96"]);
});

/** `node:slice`, free ones without a node. */
const lists = (...entries: string[]): NodeSlice[] =>
  entries.map((entry) => ({ nodeName: entry.split("@")[0]!, sliceRange: entry.split("@")[1]! }));
const shown = (allocations: readonly NodeSlice[]) => allocations.map((a) => `${a.nodeName}@${a.sliceRange}`);

function state(given: Partial<SliceState> & { exclude?: string[] }): SliceState {
  const { cidr = "10.0.0.0/8", exclude = [], ...others } = given;
  const range = rangeOf(parseCidr(cidr)!, { exclude });
  return { range, cidr, sliceSize: "/10", before: [], nodes: [], isInUse: () => false, ...others };
}

const EMPTY = ["@10.0.0.0/10", "@10.64.0.0/10", "@10.128.0.0/10", "@10.192.0.0/10"];
const TWO = ["node1@10.0.0.0/10", "node2@10.64.0.0/10", "@10.128.0.0/10", "@10.192.0.0/10"];

/** The first seven: pkg/node-controller/controller_test.go. */
for (const { when, given, want, without = [] } of [
  { when: "without nodes", given: {}, want: EMPTY },
  { when: "with two nodes", given: { nodes: ["node2", "node1"] }, want: TWO },
  { when: "when a node joins", given: { before: lists(...EMPTY), nodes: ["node1"] }, want: ["node1@10.0.0.0/10", ...EMPTY.slice(1)] },
  { when: "when a node leaves", given: { before: lists("node1@10.0.0.0/10", ...EMPTY.slice(1)) }, want: EMPTY },
  { when: "when nothing changed", given: { before: lists(...TWO), nodes: ["node1", "node2"] }, want: TWO },
  { when: "when range and size changed", given: { before: lists(...TWO), cidr: "10.0.0.0/10", sliceSize: "/12", nodes: ["node1", "node2"] }, want: ["node1@10.0.0.0/12", "node2@10.16.0.0/12", "@10.32.0.0/12", "@10.48.0.0/12"] },
  { when: "when only the size changed", given: { before: lists(...TWO), sliceSize: "/9", nodes: ["node1", "node2"] }, want: ["node1@10.0.0.0/9", "node2@10.128.0.0/9"] },
  { when: "for more nodes than slices", given: { nodes: ["a", "b", "c", "d", "f", "e"] }, want: ["a@10.0.0.0/10", "b@10.64.0.0/10", "c@10.128.0.0/10", "d@10.192.0.0/10"], without: ["e", "f"] },
  { when: "when a node left whose addresses are in use", given: { before: lists(...TWO), nodes: ["node2", "node3"], isInUse: (slice: string) => slice === "10.0.0.0/10" }, want: ["node1@10.0.0.0/10", "node2@10.64.0.0/10", "node3@10.128.0.0/10", "@10.192.0.0/10"] },
  { when: "when it comes back", given: { before: lists(...TWO), nodes: ["node1", "node2"], isInUse: (slice: string) => slice === "10.0.0.0/10" }, want: TWO },
  { when: "when a node comes back whose slice was free meanwhile", given: { before: lists(...EMPTY), nodes: ["a", "node2"], formerSlice: (node: string) => (node === "node2" ? "10.0.0.0/10" : undefined) }, want: ["node2@10.0.0.0/10", "a@10.64.0.0/10", "@10.128.0.0/10", "@10.192.0.0/10"] },
  { when: "when a node comes back whose slice is another's", given: { before: lists("a@10.0.0.0/10", ...EMPTY.slice(1)), nodes: ["a", "node2"], formerSlice: () => "10.0.0.0/10" }, want: ["a@10.0.0.0/10", "node2@10.64.0.0/10", "@10.128.0.0/10", "@10.192.0.0/10"] },
  { when: "when the size changed under addresses in use", given: { before: lists(...TWO), sliceSize: "/9", nodes: ["node1", "node2"], isInUse: (slice: string) => slice === "10.64.0.0/10" }, want: ["node2@10.64.0.0/10", "node1@10.128.0.0/9"] },
  { when: "when its slice in use lies outside of the new range", given: { before: lists("node1@11.0.0.0/10"), nodes: ["node1"], isInUse: () => true }, want: ["node1@10.0.0.0/10", ...EMPTY.slice(1), "node1@11.0.0.0/10"] },
  { when: "with a slice that is excluded as a whole", given: { nodes: ["node1"], exclude: ["10.0.0.0/10"] }, want: ["@10.0.0.0/10", "node1@10.64.0.0/10", "@10.128.0.0/10", "@10.192.0.0/10"] },
  { when: "with entries that are none", given: { before: lists("node1@x", "node1@fd00::/64", "@10.64.0.0/10"), nodes: ["node1"] }, want: ["node1@10.0.0.0/10", ...EMPTY.slice(1)] },
  { when: "of IPv6", given: { cidr: "fd00::/63", sliceSize: "64", nodes: ["node1"] }, want: ["node1@fd00::/64", "@fd00:0:0:1::/64"] },
] as { when: string; given: Partial<SliceState> & { exclude?: string[] }; want: string[]; without?: string[] }[]) // biome-ignore format: rows
  t.test(`assignSlices() ${when}`, async (t) => {
    const { allocations, without: left } = assignSlices(state(given));
    t.same(shown(allocations), want);
    t.same(left, without);
  });

t.test("assignSlices() lists no more of 2^64 slices than it needs", async (t) => {
  const { allocations } = assignSlices(state({ cidr: "fd00::/32", sliceSize: "/96", nodes: ["node1"] }));
  t.equal(allocations.length, 4_096);
  t.equal(shown(allocations)[0], "node1@fd00::/96");
  const nodes = Array.from({ length: 5_000 }, (_, i) => `n${i}`);
  t.equal(assignSlices(state({ cidr: "fd00::/32", sliceSize: "/96", nodes })).without.length, 0);
});

t.test("sliceRange() is empty where range_start lies behind the slice", async (t) => {
  const whole = { isV6: false, value: 0x0a140109n };
  const range = rangeOf(parseCidr("10.20.0.0/16")!, { start: whole });
  const pool = { name: "10.20.0.0-16", cidr: "10.20.0.0/16", network: "", overlapping: true };
  const { first, last } = sliceRange({ pool, range }, "10.20.0.0/24", "a").range;
  t.ok(first > last, `${toText({ isV6: false, value: first })} > ${toText({ isV6: false, value: last })}`);
  t.throws(() => sliceRange({ pool, range }, "x", "a"), {
    code: 7,
    message: 'cannot use slice "x" of node a: it is not a CIDR of 10.20.0.0/16',
  });
});
