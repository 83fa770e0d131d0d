import { NESTED, notIpam } from "./attach-names.ts";
import type { Host } from "./host.ts";
import type { Plugin } from "./protocol/dispatch.ts";
import type { Call } from "./protocol/request.ts";

/**
 * `railnet-sriov`: attaches an SR-IOV VF to a pod. A verb and the kernel layer below it load when they are called:
 * runtimes ask for VERSION often, and that needs none of it.
 */
export const sriov: Plugin<Host> = {
  name: "railnet-sriov",
  about: "railnet-sriov: attaches an SR-IOV VF with its RDMA device to a pod's network namespace",
  verbs: {
    ADD: async (call, host) => refuseNested(call) ?? (await import("./add.ts")).add(call, host),
    CHECK: async (call, host) => refuseNested(call) ?? (await import("./check.ts")).check(call, host),
    DEL: async (call, host) => (isNested(call) ? undefined : (await import("./del.ts")).del(call, host)),
    GC: async (call, host) => refuseNested(call) ?? (await import("./gc.ts")).gc(call, host),
    STATUS: async (call, host) => refuseNested(call) ?? (await import("./status.ts")).status(call, host),
  },
};

const isNested = ({ request }: Call): boolean => request.env[NESTED] !== undefined;

function refuseNested(call: Call): undefined {
  if (isNested(call)) throw notIpam(call.config.ipam?.type ?? call.request.name);
}

/** The name under which this executable is rdma-cni, which then has nothing to do: cni/rdma-alias.ts. */
export const isRdmaName = (name: string): boolean => name === "rdma";

/** Names under which this executable is the IPAM plugin `railnet-ipam`: the second one where it replaces Whereabouts. */
export const isIpamName = (name: string): boolean => name === "railnet-ipam" || name === "whereabouts";
