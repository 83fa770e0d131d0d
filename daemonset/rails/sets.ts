/** VFs that are offered together, one of each rail: of a RailNetwork. */
export interface RailSets {
  /** How many VFs of each rail. */
  readonly count: number;
  /** Names, in the order of the network: that of the VFs of a set. */
  readonly rails: readonly string[];
}

/** What the device plugin calls them. */
export const SETS_RESOURCE = "railnet.io/rails";
