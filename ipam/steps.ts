/**
 * The steps of the IPAM plugin, in order: the process may die after each one, and what it leaves must be put right by
 * DEL, by the release queue or by the next ADD. The fault tests walk these lists.
 */
const IPAM_ADD_STEPS = [
  "ipam-add-locked",
  "ipam-add-candidate-journalled",
  "ipam-add-claimed",
  "ipam-add-held",
] as const;

const IPAM_DEL_STEPS = ["ipam-del-locked", "ipam-del-journalled"] as const;

/** In the release queue, for each record. */
const IPAM_RELEASE_STEPS = ["ipam-release-claim-released", "ipam-release-forgotten"] as const;

/** In the Kubernetes store, where one claim or release takes two writes. */
export const IPAM_STORE_STEPS = [
  "store-reservation-created",
  "store-record-written",
  "store-record-removed",
  "store-reservation-deleted",
] as const;

export type IpamStep =
  | (typeof IPAM_ADD_STEPS)[number]
  | (typeof IPAM_DEL_STEPS)[number]
  | (typeof IPAM_RELEASE_STEPS)[number]
  | (typeof IPAM_STORE_STEPS)[number];
