// railnet/whereabouts: names, objects and slices of Whereabouts v0.9, for programs that read or write them.

export {
  expandedReservationName,
  ipOfReservation,
  normalizeRange,
  poolName,
  rangeOfPool,
  reservationName,
  slicePoolName,
} from "../ipam/whereabouts/names.ts";
export {
  type IpPool,
  type NodeSlicePool,
  ownerOfRecord,
  ownerOfReservation,
  type PoolRecord,
  type Reservation,
  toIpPool,
  toRecord,
  toReservation,
} from "../ipam/whereabouts/objects.ts";
export { parseStored } from "../ipam/whereabouts/parse.ts";
export { addressOf, baseOf, type KeyBase, keyOf, MAX_OFFSET } from "../ipam/whereabouts/record-keys.ts";
export { divideRange } from "../ipam/whereabouts/slices.ts";
export type { KubeObject, ObjectMeta } from "../kubernetes/cluster.ts";
