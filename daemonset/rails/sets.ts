/** VFs that are offered together, one of each rail of a RailNetwork. */
export interface RailSets {
  /** How many VFs of each rail. */
  readonly count: number;
  /** Names, in the order of the network, which is also that of the VFs of a set. */
  readonly rails: readonly string[];
}

/** The device plugin's name for them. */
export const SETS_RESOURCE = "railnet.io/rails";
