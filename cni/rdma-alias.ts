import type { Plugin } from "./protocol/dispatch.ts";
import { CniError, CODE } from "./protocol/error.ts";

/**
 * `rdma`, chained after `sriov` in configurations written for rdma-cni: where Railnet also answers to that name there is
 * nothing left to do, since a VF's RDMA device comes and goes with the VF. What rdma-cni recorded for running pods is
 * restored by the VF's own DEL.
 */
export const rdmaAlias: Plugin<unknown> = {
  name: "rdma",
  about: "rdma: Railnet's stand-in for rdma-cni; the VF's own plugin moves the RDMA device",
  verbs: {
    ADD: async ({ prevResult }) => {
      if (!prevResult)
        throw new CniError(CODE.INVALID_CONFIG, "cannot add: prevResult is missing; chain rdma after railnet-sriov");
      return prevResult;
    },
    CHECK: async () => {},
    DEL: async () => {},
    GC: async () => {},
    STATUS: async () => {},
  },
};
