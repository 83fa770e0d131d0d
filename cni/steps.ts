/**
 * The steps of ADD and DEL, in order: after each one the process may die, and what it leaves must be put right by
 * DEL, by the reconciler or by the next ADD. Of a network of several rails most are done for each of them. The fault tests
 * walk these lists.
 */
export const ADD_STEPS = [
  "add-locked",
  "add-recorded",
  "add-journalled",
  "add-pf-configured",
  "add-moved",
  "add-addresses-reserved",
  "add-configured",
  "add-rdma-moved",
  "add-device-info-written",
  "add-attached",
  "add-committed",
] as const;

export const DEL_STEPS = [
  "del-locked",
  "del-rdma-returned",
  "del-link-returned",
  "del-pf-restored",
  "del-returned",
  "del-addresses-released",
  "del-forgotten",
] as const;

export type Step = (typeof ADD_STEPS)[number] | (typeof DEL_STEPS)[number];
