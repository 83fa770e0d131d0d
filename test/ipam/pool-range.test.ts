import t from "tap";
import { toNumber } from "../../ipam/address.ts";
import { claimOrder, mayKeep, type PoolRange } from "../../ipam/pool-range.ts";
import { parseRange, rangeOf } from "../../ipam/range.ts";

const of = (cidr: string, pool = cidr): PoolRange => ({
  range: rangeOf(parseRange(cidr).network),
  pool: { name: pool, cidr, network: "", overlapping: true },
});

for (const { when, ranges, order } of [
  { when: "that do not overlap, as they stand", ranges: ["10.0.0.0/16", "10.1.0.0/24", "fd00::/64"], order: [0, 1, 2] },
  { when: "that overlap, the narrow one first", ranges: ["10.0.0.0/16", "10.0.1.0/24"], order: [1, 0] },
  { when: "of which two overlap, all by width", ranges: ["10.0.0.0/16", "10.9.0.0/28", "10.0.1.0/24"], order: [1, 2, 0] },
  { when: "that are equal, as they stand", ranges: ["10.0.0.0/24", "10.0.0.0/24"], order: [0, 1] },
  { when: "of two families at the same numbers", ranges: ["0.0.0.0/8", "::1:0/112"], order: [0, 1] },
]) // biome-ignore format: rows
  t.test(`claimOrder() of ranges ${when}`, async (t) => t.same(claimOrder(ranges.map((one) => of(one))), order));

t.test("claimOrder() of ranges that meet in one address, and of neighbours", async (t) => {
  const between = (first: bigint, last: bigint): PoolRange => ({ ...of("10.0.0.0/24"), range: { ...of("10.0.0.0/24").range, first, last } });
  t.same(claimOrder([between(1n, 9n), between(9n, 12n)]), [1, 0]);
  t.same(claimOrder([between(9n, 20n), between(5n, 9n)]), [1, 0]);
  t.same(claimOrder([between(1n, 9n), between(10n, 12n)]), [0, 1]);
  t.same(claimOrder([between(10n, 20n), between(5n, 9n)]), [0, 1]);
}); // biome-ignore format: rows

t.test("mayKeep() is anywhere in a pool that no other range has, else within its own bounds", async (t) => {
  const [low, high] = [of("10.0.0.0/28", "p"), of("10.0.0.16/28", "p")];
  const other = of("10.0.0.16/28", "q");
  const may = (ip: string, ranges: PoolRange[]) => mayKeep(low, ranges)(toNumber(ip));
  t.same(["10.0.0.1", "10.0.0.20"].map((ip) => may(ip, [low])), [true, true]);
  t.same(["10.0.0.1", "10.0.0.20"].map((ip) => may(ip, [low, other])), [true, true], "another pool's range does not count");
  t.same(["10.0.0.0", "10.0.0.1", "10.0.0.14", "10.0.0.15", "10.0.0.20"].map((ip) => may(ip, [low, high])), [false, true, true, false, false]);
}); // biome-ignore format: rows
