import type { Range } from "./range.ts";
import type { Pool } from "./store/store.ts";

/** One range of a configuration, which gives one address, and the pool where it is kept who has them. */
export interface PoolRange {
  readonly pool: Pool;
  readonly range: Range;
}
