import type { Dns, IpConfig, Route } from "../../cni/protocol/result.ts";
import type { Range } from "../range.ts";
import type { Pool } from "../store/store.ts";

/** Where addresses are kept. */
export type Storage =
  | { readonly kind: "kubernetes"; readonly kubeconfig: string }
  | { readonly kind: "directory"; readonly path: string };

/** One range of a configuration: one address of the result comes from it. */
export interface PoolRange {
  readonly pool: Pool;
  readonly range: Range;
}

/** The `ipam` object of a network configuration, checked: Whereabouts' keys with its meaning, and ours. */
export interface IpamConfig {
  readonly storage: Storage;
  /** In the order of the result. */
  readonly ranges: readonly PoolRange[];
  /** Of every address from a range. */
  readonly gateway?: string;
  readonly routes: readonly Route[];
  readonly dns: Dns;
  /** `addresses` and those of CNI_ARGS `IP` that lie in no range: appended, never recorded. */
  readonly fixed: readonly IpConfig[];
  /** Addresses that the pod asks for, canonical; each lies in one of the ranges and is not excluded. */
  readonly requested: readonly string[];
  /** With `node_slice_size`: name of the NodeSlicePool that cuts the first range. */
  readonly slicePool?: string;
  /** `same_index`: the same offset in the ranges of all rails of a pod, where it is free. */
  readonly sameIndex: boolean;
  readonly podref: string;
  readonly podUid?: string;
}
