/** Addresses from `first` to `last`, both included. */
export interface Span {
  readonly first: bigint;
  readonly last: bigint;
}

/** The addresses that one range of a configuration gives out. */
export interface Range {
  readonly isV6: boolean;
  /** Address of the network: host bits masked. */
  readonly network: bigint;
  readonly prefixBits: number;
  /** First and last address to give out: inside of the usable window, `range_start` and `range_end` applied. */
  readonly first: bigint;
  readonly last: bigint;
  /** `exclude`, sorted and merged. */
  readonly excluded: readonly Span[];
}
