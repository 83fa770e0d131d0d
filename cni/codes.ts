/** Error codes of our own: CNI leaves 100 and above to plugins (SPEC.md, "Error"). */
export const ATTACH_CODE = {
  /** The kernel or the driver refused; the message has its reason. */
  FAILED: 100,
  /** The device does not exist, is not a VF, or has no usable driver. */
  DEVICE_UNUSABLE: 101,
  /** The VF, or the requested interface name, is in use. */
  IN_USE: 102,
  /** The VF belongs to another PF than `rail` says. */
  WRONG_RAIL: 103,
  /** RDMA was `required` and is not available. */
  RDMA_UNUSABLE: 104,
  /** Another host answers for the address. */
  DUPLICATE_ADDRESS: 105,
  /** CHECK found differences. */
  DIFFERS: 106,
} as const;
