import { NESTED, notIpam } from "./attach-names.ts";
import type { Host } from "./host.ts";
import type { Plugin } from "./protocol/dispatch.ts";
import type { Call } from "./protocol/request.ts";

/**
 * `railnet-sriov`: attaches an SR-IOV VF to a pod. A verb and the kernel layer below it are loaded when called: runtimes
 * often ask for VERSION, which needs none of it.
 */
export const sriov: Plugin<Host> = {
  name: "railnet-sriov",
  about: "railnet-sriov: attaches an SR-IOV VF with its RDMA device to a pod's network namespace",
  verbs: {
    ADD: async (call, host) => refuseNested(call) ?? (await import("./add.ts")).add(await permitted(call, host), host),
    CHECK: async (call, host) =>
      refuseNested(call) ?? (await import("./check.ts")).check(await referred(call, host), host),
    DEL: async (call, host) =>
      isNested(call) ? undefined : (await import("./del.ts")).del(await referred(call, host), host),
    GC: async (call, host) => refuseNested(call) ?? (await import("./gc.ts")).gc(await referred(call, host), host),
    STATUS: async (call, host) =>
      refuseNested(call) ?? (await import("./status.ts")).status(await referred(call, host), host),
  },
};

/** Runs before anything is looked up for the call. */
async function permitted(call: Call, host: Host): Promise<Call> {
  const whole = await referred(call, host);
  (await import("./tenant.ts")).checkTenant(call, host);
  return whole;
}

/** Most configurations refer to nothing. */
async function referred(call: Call, host: Host): Promise<Call> {
  const isReference = Object.keys(call.config).some((key) => key.toLowerCase() === "network");
  return isReference ? (await import("./reference.ts")).withReference(call, host) : call;
}

const isNested = ({ request }: Call): boolean => request.env[NESTED] !== undefined;

function refuseNested(call: Call): undefined {
  if (isNested(call)) throw notIpam(call.config.ipam?.type ?? call.request.name);
}

/** The name under which this executable is rdma-cni, which then has nothing to do: cni/rdma-alias.ts. */
export const isRdmaName = (name: string): boolean => name === "rdma";

/** Names under which this executable is the IPAM plugin `railnet-ipam`: the second where it replaces Whereabouts. */
export const isIpamName = (name: string): boolean => name === "railnet-ipam" || name === "whereabouts";
