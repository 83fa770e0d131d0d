// The words of a list of rails: names of resources, PFs and which of their VFs.
import t from "tap";
import { readResourceName } from "../../../daemonset/rails/resource-name.ts";
import { isIn, overlap, rangesText, splitWord, type VfRange } from "../../../daemonset/rails/vf-range.ts";

for (const { name, fix } of [
  ...["railnet.io/rail0", "a/b", "example.com/RAIL_0.x-y", `a/${"b".repeat(63)}`].map((name) => ({ name, fix: undefined })),
  { name: 7, fix: /^want a name/ },
  ...["rail0", "a/b/c", ""].map((name) => ({ name, fix: /^want a domain, one/ })),
  ...["/b", "A/b", "-a/b", "a-/b", "a..b/c", `${"a.".repeat(121)}aaa/b`].map((name) => ({ name, fix: /^before the "\/"/ })),
  ...["kubernetes.io/b", "x.kubernetes.io/b", "requests.x/b"].map((name) => ({ name, fix: /^Kubernetes keeps/ })),
  ...["a/", "a/-b", "a/b-", `a/${"b".repeat(64)}`, "a/b c"].map((name) => ({ name, fix: /^after the "\/"/ })),
]) // biome-ignore format: rows
  t.test(`readResourceName() ${fix ? "refuses" : "takes"} ${String(name).slice(0, 40)}`, async (t) => {
    if (fix) t.throws(() => readResourceName(name), { message: fix });
    else t.equal(readResourceName(name), name);
  });

t.test("splitWord() reads a PF and which of its VFs, as the SR-IOV device plugin does", async (t) => {
  const rows: [string, string, VfRange[] | undefined][] = [
    ["ens1", "ens1", undefined],
    ["ens1#1-7", "ens1", [[1, 7]]],
    ["0000:18:00.0#0,4-7", "0000:18:00.0", [[0, 0], [4, 7]]],
    ["a#b#3", "a#b", [[3, 3]]],
    ["ens1#", "ens1#", undefined],
    ["ens1#x", "ens1#x", undefined],
    ["ens1#1-", "ens1#1-", undefined],
    ["ens1#123456", "ens1#123456", undefined],
  ];
  for (const [word, pf, ranges] of rows) t.strictSame(splitWord(word), ranges ? { pf, ranges } : { pf });
}); // biome-ignore format: rows

t.test("isIn() and overlap() count both ends, and no ranges mean all", async (t) => {
  const ranges: VfRange[] = [[1, 3], [6, 6]];
  t.same([0, 1, 2, 3, 4, 5, 6, 7].map((i) => isIn(i, ranges)), [false, true, true, true, false, false, true, false]);
  t.equal(isIn(9, undefined), true);
  for (const [a, b, is] of [[[[0, 3]], [[3, 5]], true], [[[3, 5]], [[0, 3]], true], [[[0, 2]], [[3, 5]], false], [[[3, 5]], [[0, 2]], false], [[[0, 9]], [[4, 4]], true], [undefined, [[1, 1]], true], [[[1, 1]], undefined, true], [[], [[1, 1]], false]] as [VfRange[] | undefined, VfRange[] | undefined, boolean][])
    t.equal(overlap(a, b), is, JSON.stringify([a, b]));
  t.equal(rangesText(ranges), "1-3,6");
}); // biome-ignore format: rows
