import { IP_POOLS, type KubeObject, NODE_SLICE_POOLS, RESERVATIONS, type Resource } from "../../kubernetes/cluster.ts";
import type { IpPool, NodeSlicePool, PoolRecord, Reservation } from "./objects.ts";

// Stored objects are input: written by Whereabouts 0.3 to 0.9, pruned by old definitions, edited by hand, restored from a
// backup. Members that are missing or of the wrong type become empty here, once; nothing stored makes a reader throw. An
// empty podref means an unknown owner: never given out, listed by `railnet ipam audit`.

/** A stored object with all members that its type promises; the same object if nothing was missing. Never throws. */
export function parseStored<T extends KubeObject>({ group, plural }: Resource, object: T): T {
  if (group !== IP_POOLS.group || object === null || typeof object !== "object") return object;
  if (plural === RESERVATIONS.plural) return parseReservation(object) as KubeObject as T;
  if (plural === IP_POOLS.plural) return parsePool(object) as KubeObject as T;
  return plural === NODE_SLICE_POOLS.plural ? (parseSlices(object) as KubeObject as T) : object;
}

type Loose = Readonly<Record<string, unknown>>;

function parseReservation(object: KubeObject): Reservation {
  const spec = objectOf((object as KubeObject & Loose)["spec"]);
  const { podref, ifname, containerid } = spec;
  const isWhole = typeof podref === "string" && isTextOrAbsent(ifname) && isTextOrAbsent(containerid);
  if (isWhole) return object as Reservation;
  return { ...object, spec: { ...spec, podref: text(podref), ifname: text(ifname), containerid: text(containerid) } };
}

function parsePool(object: KubeObject): IpPool {
  const spec = objectOf((object as KubeObject & Loose)["spec"]);
  const allocations = objectOf(spec["allocations"]);
  const records = Object.entries(allocations);
  const isWhole =
    typeof spec["range"] === "string" &&
    allocations === spec["allocations"] &&
    records.every(([, one]) => isRecord(one));
  if (isWhole) return object as IpPool;
  const parsed = Object.fromEntries(records.map(([key, one]) => [key, parseRecord(one)]));
  return { ...object, spec: { ...spec, range: text(spec["range"]), allocations: parsed } };
}

function isRecord(value: unknown): value is PoolRecord {
  const { id, podref, ifname } = objectOf(value);
  return typeof id === "string" && typeof podref === "string" && isTextOrAbsent(ifname);
}

/** Records before Whereabouts 0.8 have no `ifname`; old definitions let it write some without `podref`. */
export function parseRecord(value: unknown): PoolRecord {
  if (isRecord(value)) return value;
  const { id, podref, ifname } = objectOf(value);
  return { id: text(id), ...(typeof ifname === "string" && { ifname }), podref: text(podref) };
}

/** No entry is dropped: patches count them. */
function parseSlices(object: KubeObject): NodeSlicePool {
  const { spec, status } = object as KubeObject & Loose;
  const { range, sliceSize } = objectOf(spec);
  const list = objectOf(status)["allocations"];
  const isWhole = [range, sliceSize].every(isText) && Array.isArray(list) && list.every(isSlice);
  if (isWhole) return object as NodeSlicePool;
  const allocations = (Array.isArray(list) ? list : []).map((one) => {
    const { nodeName, sliceRange } = objectOf(one);
    return { nodeName: text(nodeName), sliceRange: text(sliceRange) };
  });
  return { ...object, spec: { range: text(range), sliceSize: text(sliceSize) }, status: { allocations } };
}

const isSlice = (value: unknown): boolean => [objectOf(value)["nodeName"], objectOf(value)["sliceRange"]].every(isText);
const isText = (value: unknown): value is string => typeof value === "string";
const objectOf = (value: unknown): Loose =>
  typeof value === "object" && value !== null && !Array.isArray(value) ? (value as Loose) : {};
const text = (value: unknown): string => (typeof value === "string" ? value : "");
const isTextOrAbsent = (value: unknown): boolean => value === undefined || typeof value === "string";
