/// <reference lib="esnext.disposable" preserve="true" />
// railnet/ipam: ranges of addresses, and who holds which of them.

export {
  type Address,
  type Cidr,
  isInNetwork,
  mergeSpans,
  networkText,
  parseCidr,
  parseIp,
  type Span,
  spanOf,
  toNumber,
  toText,
} from "../ipam/address.ts";
export { AddressSet } from "../ipam/address-set.ts";
export { candidates, type IsTaken, type Order } from "../ipam/allocate.ts";
export { Allocator, type AllocatorOptions, type Preference } from "../ipam/allocator.ts";
export { ExhaustedError } from "../ipam/exhausted.ts";
export { toCniFailure } from "../ipam/failure.ts";
export type { PoolRange } from "../ipam/pool-range.ts";
export {
  type Bounds,
  cidrOf,
  parseRange,
  type Range,
  type RangeFault,
  type RangeText,
  RangeTextError,
  rangeFrom,
  rangeOf,
  whyUnusable,
} from "../ipam/range.ts";
export type { AddressLock } from "../ipam/store/address-lock.ts";
export { DirectoryStore } from "../ipam/store/directory.ts";
export { flockIn } from "../ipam/store/flock.ts";
export { MemoryStore } from "../ipam/store/memory.ts";
export {
  type Claim,
  type Holder,
  type Owner,
  type Pool,
  type Released,
  type Sandbox,
  type SlicedRange,
  type Store,
  StoreError,
  type StoreFailure,
  type Taken,
} from "../ipam/store/store.ts";
