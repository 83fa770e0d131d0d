/**
 * The steps of ADD and DEL, in order: the process may die after each one, and what it leaves must be put right by
 * DEL, by the reconciler or by the next ADD. For a network of several rails most are done once per rail. The fault tests
 * walk these lists.
 */
export const ADD_STEPS = [
  "add-locked",
  "add-journalled",
  "add-pf-configured",
  "add-moved",
  "add-addresses-reserved",
  "add-configured",
  "add-rdma-moved",
  "add-device-info-written",
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

/** In an ADD of several rails, for each: its record is written, and says that it is attached. */
type SetStep = "add-recorded" | "add-attached";

export type Step = (typeof ADD_STEPS)[number] | SetStep | (typeof DEL_STEPS)[number];
