import type { JsonPatch } from "../../kubernetes/cluster.ts";
import type { PoolRecord } from "./objects.ts";

// Patches of single records, which fail as a whole (422) if one has changed. The resourceVersion is never tested.

/** What is tested: only the sandbox, which is enough if nobody else can be in its place, or the interface too. */
export type Tested = "sandbox" | "all";

const at = (key: string): string => `/spec/allocations/${key}`;

/** Adds a record where there is none: the server's `test` of null passes for a missing member. */
export const addition = (key: string, to: PoolRecord): JsonPatch => [
  { op: "test", path: at(key), value: null },
  { op: "add", path: at(key), value: to },
];

export const replacement = (key: string, from: PoolRecord, to: PoolRecord, tested: Tested): JsonPatch => [
  ...tests(key, from, tested),
  { op: "replace", path: at(key), value: to },
];

/** The same interface in another sandbox: everything else in the record stays. */
export const handOver = (key: string, from: PoolRecord, id: string): JsonPatch => [
  ...tests(key, from, "all"),
  { op: "replace", path: `${at(key)}/id`, value: id },
];

export const removal = (key: string, from: PoolRecord, tested: Tested): JsonPatch => [
  ...tests(key, from, tested),
  { op: "remove", path: at(key) },
];

/** Empty members may be missing in what is stored, where a test for an empty text would fail. */
function tests(key: string, { id, podref, ifname = "" }: PoolRecord, tested: Tested): JsonPatch {
  const all = Object.entries({ podref, ifname, id }).filter(([, value]) => value !== "");
  const said = tested === "sandbox" && id !== "" ? ([["id", id]] as const) : all;
  const known = said.length > 0 ? said : ([["podref", null]] as const); // an empty record: tests that it still is
  return known.map(([name, value]) => ({ op: "test", path: `${at(key)}/${name}`, value }) as const);
}
