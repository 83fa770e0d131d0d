import type { JsonPatch } from "../../kubernetes/cluster.ts";
import type { PoolRecord } from "./objects.ts";

// Patches of single records, which fail whole (422) where one is not as it was. The resourceVersion is never tested.

/** What of a record is tested: its sandbox alone, which is enough where nobody else is in its place, or its interface too. */
export type Tested = "sandbox" | "all";

const at = (key: string): string => `/spec/allocations/${key}`;

/** A record where none is: the server's `test` of null passes on a missing member. */
export const addition = (key: string, to: PoolRecord): JsonPatch => [
  { op: "test", path: at(key), value: null },
  { op: "add", path: at(key), value: to },
];

export const replacement = (key: string, from: PoolRecord, to: PoolRecord, tested: Tested): JsonPatch => [
  ...tests(key, from, tested),
  { op: "replace", path: at(key), value: to },
];

/** The same interface in another sandbox: all else that the record says stays. */
export const handOver = (key: string, from: PoolRecord, id: string): JsonPatch => [
  ...tests(key, from, "all"),
  { op: "replace", path: `${at(key)}/id`, value: id },
];

export const removal = (key: string, from: PoolRecord, tested: Tested): JsonPatch => [
  ...tests(key, from, tested),
  { op: "remove", path: at(key) },
];

/** What is empty may be missing in what is stored, where a test of a text would fail. */
function tests(key: string, { id, podref, ifname = "" }: PoolRecord, tested: Tested): JsonPatch {
  const all = Object.entries({ podref, ifname, id }).filter(([, value]) => value !== "");
  const said = tested === "sandbox" && id !== "" ? ([["id", id]] as const) : all;
  const known = said.length > 0 ? said : ([["podref", null]] as const); // of a record that says nothing: that it still does
  return known.map(([name, value]) => ({ op: "test", path: `${at(key)}/${name}`, value }) as const);
}
