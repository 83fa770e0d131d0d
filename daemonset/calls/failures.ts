/** What a CNI error code is called in metrics and logs, and what to do about it. */
export interface Failure {
  /** Never changes: alerts use it. */
  readonly name: string;
  /** Follows the message of the error. */
  readonly advice: string;
}

/** By code: cni/protocol/error.ts and cni/codes.ts; docs/errors.md says the same. */
const FAILURES: Readonly<Record<number, Failure>> = {
  1: { name: "incompatible_version", advice: "set cniVersion of the network to 1.1.0 or older" },
  3: { name: "unknown_container", advice: "recreate the pod" },
  4: { name: "invalid_environment", advice: "fix what calls the plugin" },
  5: { name: "io_failure", advice: "check the node's disk: is it full or read-only" },
  6: { name: "broken_config", advice: "correct the NetworkAttachmentDefinition" },
  7: { name: "invalid_config", advice: "correct the NetworkAttachmentDefinition" },
  8: { name: "invalid_netns", advice: "nothing, if the pod was just deleted; otherwise check the runtime's log" },
  11: { name: "try_again_later", advice: "nothing: the kubelet tries again" },
  50: { name: "not_available", advice: "create VFs, check the API server" },
  51: { name: "no_carrier", advice: "check cable and switch" },
  100: { name: "refused", advice: "see the message; `railnet status` on the node shows its rails" },
  101: { name: "device_unusable", advice: "check the device plugin's selectors and the PF's sriov_numvfs" },
  102: { name: "in_use", advice: "delete the pod that has it, or look for a second device plugin" },
  103: { name: "wrong_rail", advice: "give each rail a resource of its own" },
  104: { name: "rdma_unusable", advice: "load the driver's RDMA part, or set rdma to auto" },
  105: { name: "duplicate_address", advice: "find the other host by the MAC in the message" },
  106: { name: "differs", advice: "recreate the pod" },
  999: { name: "no_address", advice: "see `railnet ipam stats`, or fix the ipam part of the network" },
};

/** The failure of a code; codes of other plugins, which ours passes on, are `other`. Pure. */
export const failureOf = (code: number): Failure =>
  FAILURES[code] ?? { name: "other", advice: "see the message: another plugin's error" };

/** For a metric's label: `ok` for 0. Pure. */
export const reasonOf = (code: number): string => (code === 0 ? "ok" : failureOf(code).name);
