import t from "tap";
import { parseCidr, parseIp, toNumber, toText } from "../../ipam/address.ts";
import { AddressSet } from "../../ipam/address-set.ts";
import { candidates, hashedStart, type Order } from "../../ipam/allocate.ts";
import { type Bounds, type Range, rangeOf } from "../../ipam/range.ts";
import * as fc from "../../lab/properties.ts";

function range(cidr: string, bounds: { start?: string; end?: string; exclude?: string[] } = {}): Range {
  const read = (ip?: string) => (ip === undefined ? undefined : parseIp(ip)!);
  const { start, end, exclude = [] } = bounds;
  return rangeOf(parseCidr(cidr)!, { start: read(start), end: read(end), exclude } satisfies Bounds);
}

function first(from: Range, taken: readonly string[] = [], order?: Order): string | undefined {
  const held = new AddressSet(taken.map(toNumber));
  const found = candidates(from, (address) => held.run(address) ?? false, order).next().value;
  return typeof found === "bigint" ? toText({ isV6: from.isV6, value: found }) : undefined;
}

/** Cases of Whereabouts' own suite: pkg/allocate/allocate_test.go, cmd/whereabouts_test.go. */
for (const { when, from, taken = [], want } of [
  { when: "an IPv6 range", from: range("2001::1/116"), want: "2001::1" },
  { when: "left-hand zeroes", from: range("fd::1/116"), want: "fd::1" },
  { when: "excluded networks", from: range("192.168.1.0/24", { exclude: ["192.168.1.0/28", "192.168.1.16/28"] }), want: "192.168.1.32" },
  { when: "excluded IPv6 addresses", from: range("2001::1/116", { exclude: ["2001::/128", "2001::1/128", "2001::2/128"] }), want: "2001::3" },
  { when: "an excluded half, up to its broadcast address", from: range("caa5::0/112", { exclude: ["caa5::0/113"] }), want: "caa5::8000" },
  { when: "an excluded address without prefix length", from: range("192.168.0.0/29", { exclude: ["192.168.0.1"] }), want: "192.168.0.2" },
  { when: "unsorted and nested excludes", from: range("192.168.0.0/28", { exclude: ["192.168.0.0/30", "192.168.0.6/31", "192.168.0.8/31", "192.168.0.4/30"] }), want: "192.168.0.10" },
  { when: "a very large exclude, which is not walked through", from: range("2001:db8::/30", { exclude: ["2001:db8::/32"] }), want: "2001:db9::" },
  { when: "bounds outside of what can be given out", from: range("192.168.0.0/29", { start: "192.168.0.0", end: "192.168.0.8" }), want: "192.168.0.1" },
  { when: "an exclude before range_end", from: range("192.168.0.0/28", { start: "192.168.0.1", end: "192.168.0.6", exclude: ["192.168.0.4/30"] }), taken: ["192.168.0.1", "192.168.0.2", "192.168.0.3"], want: undefined },
  { when: "a hole", from: range("192.168.0.0/28"), taken: ["192.168.0.1", "192.168.0.2", "192.168.0.5"], want: "192.168.0.3" },
  { when: "addresses that end in .0 and .255", from: range("10.10.0.0/16", { start: "10.10.0.255" }), taken: ["10.10.0.255"], want: "10.10.1.0" },
  { when: "an excluded end of the address space", from: range("255.255.255.240/28", { start: "255.255.255.248", exclude: ["255.255.255.248/29"] }), want: undefined },
  { when: "excludes of the other family", from: range("10.0.0.0/29", { exclude: ["::/0"] }), want: "10.0.0.1" },
] as const) // biome-ignore format: rows
  t.test(`candidates() begins behind ${when}`, async (t) => t.equal(first(from, taken), want));

t.test("candidates() gives .5 to .12, and then nothing", async (t) => {
  const from = range("192.168.1.0/24", { start: "192.168.1.5", end: "192.168.1.12" });
  const all = [...candidates(from, () => false)].map((value) => toText({ isV6: false, value }));
  t.same(
    all,
    [5, 6, 7, 8, 9, 10, 11, 12].map((n) => `192.168.1.${n}`),
  );
});

for (const { order, want } of [
  { order: "lowest", want: [1n, 2n, 5n, 6n] },
  { order: "highest", want: [6n, 5n, 2n, 1n] },
  { order: { from: 5n, end: "lowest" }, want: [5n, 6n, 1n, 2n] },
  { order: { from: 3n, end: "lowest" }, want: [5n, 6n, 1n, 2n] },
  { order: { from: 1n, end: "lowest" }, want: [1n, 2n, 5n, 6n] },
  { order: { from: 99n, end: "lowest" }, want: [1n, 2n, 5n, 6n] },
  { order: { from: 6n, end: "highest" }, want: [6n, 5n, 2n, 1n] },
  { order: { from: 5n, end: "highest" }, want: [5n, 6n, 2n, 1n] },
  { order: { from: 1n, end: "highest" }, want: [6n, 5n, 2n, 1n] },
] as const)
  t.test(
    `candidates() in order ${JSON.stringify(order, (_, v) => (typeof v === "bigint" ? String(v) : v))}`,
    async (t) => {
      const from = range("0.0.0.0/29", { exclude: ["0.0.0.3", "0.0.0.4"] });
      t.same([...candidates(from, () => false, order)], want);
    },
  );

const offset = fc.integer({ min: 0, max: 63 });
const cidrs = fc.tuple(offset, fc.integer({ min: 26, max: 32 })).map(([host, bits]) => `10.0.0.${host}/${bits}`);
const orders = fc.oneof(
  fc.constantFrom<Order>("lowest", "highest"),
  fc.record({ from: offset.map((host) => toNumber(`10.0.0.${host}`)), end: fc.constantFrom("lowest", "highest") }),
);

t.test("candidates() are what a naive filter leaves, in every order, with and without runs", async () => {
  fc.assert(
    fc.property(
      fc.array(cidrs, { maxLength: 4 }),
      fc.array(offset),
      offset,
      offset,
      orders,
      fc.boolean(),
      (exclude, taken, a, b, order, runs) => {
        const from = range("10.0.0.0/26", { start: `10.0.0.${a}`, end: `10.0.0.${b}`, exclude });
        const held = new AddressSet(taken.map((host) => toNumber(`10.0.0.${host}`)));
        const isTaken = (address: bigint) => (runs ? (held.run(address) ?? false) : held.has(address));
        return String([...candidates(from, isTaken, order)]) === String(naive(from, exclude, held, order));
      },
    ),
    { numRuns: 2_000 },
  );
});

function naive({ first, last }: Range, exclude: readonly string[], held: AddressSet, order: Order): bigint[] {
  const all = Array.from({ length: Number(last - first) + 1 }, (_, i) => first + BigInt(i));
  const free = all.filter((address) => !held.has(address) && !exclude.some((cidr) => isIn(address, cidr)));
  const { from = -1n, end } = typeof order === "object" ? order : { end: order };
  const middle = end === "lowest" ? first : last - (last - first) / 2n;
  if (from < middle || from > last) return end === "highest" ? free.reverse() : free;
  const upper = free.filter((address) => address >= middle);
  const lower = free.filter((address) => address < middle).reverse();
  return [...upper.filter((address) => address >= from), ...upper.filter((address) => address < from), ...lower];
}

function isIn(address: bigint, cidr: string): boolean {
  const [ip = "", bits] = cidr.split("/");
  const size = 1 << (32 - Number(bits));
  return Math.floor(Number(address) / size) === Math.floor(Number(toNumber(ip)) / size);
}

t.test("candidates() see what is taken between two of them", async (t) => {
  const taken = new Set<bigint>();
  const some = candidates(range("0.0.0.0/29"), (address) => taken.has(address));
  t.equal(some.next().value, 1n);
  taken.add(2n).add(3n);
  t.equal(some.next().value, 4n);
});

t.test("candidates() ask once for a run of 2^64 taken addresses", async (t) => {
  const from = range("fd00::/48");
  const run = { first: from.first, last: from.first + (1n << 64n) };
  let asked = 0;
  const isTaken = (address: bigint) => {
    asked++;
    return address <= run.last && run;
  };
  t.equal(candidates(from, isTaken).next().value, run.last + 1n);
  t.equal(asked, 2);
});

t.test("hashedStart() is the same for the same text, in the range, and spread out", async (t) => {
  const from = range("10.0.0.0/16", { start: "10.0.16.0" });
  const starts = Array.from({ length: 1_000 }, (_, i) => hashedStart(from, `node-${i}/default/pod`));
  t.same(
    starts,
    Array.from({ length: 1_000 }, (_, i) => hashedStart(from, `node-${i}/default/pod`)),
  );
  t.ok(starts.every((address) => address >= from.first && address <= from.last));
  t.ok(new Set(starts).size > 950, "hardly any two are equal");
  const quarter = (from.last - from.first) / 4n + 1n;
  const counts = [0, 0, 0, 0];
  for (const address of starts) counts[Number((address - from.first) / quarter)]!++;
  t.ok(
    counts.every((count) => count > 190 && count < 310),
    `quarters ${counts}`,
  );
  t.ok(
    starts.some((_, i) => hashedStart(from, `node-${i}`) < from.first + 2n * quarter) &&
      starts.every((_, i) => hashedStart(from, `node-${i}`, "highest") >= from.last - 2n * quarter),
    "beside Whereabouts, which takes the lowest, in the upper half",
  );
});
