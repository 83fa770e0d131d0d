import type { Plugin } from "../cni/protocol/dispatch.ts";
import type { IpamHost } from "./host.ts";

/** `railnet-ipam`: cluster-wide addresses in Whereabouts' objects. A verb is loaded when it is called. */
export const ipam: Plugin<IpamHost> = {
  name: "railnet-ipam",
  about: "railnet-ipam: gives pods cluster-unique addresses, in Whereabouts' objects",
  verbs: {
    ADD: async (call, host) => (await import("./add.ts")).add(call, host),
    CHECK: async (call, host) => (await import("./check.ts")).check(call, host),
    DEL: async (call, host) => (await import("./del.ts")).del(call, host),
    GC: async (call, host) => (await import("./gc.ts")).gc(call, host),
    STATUS: async (call, host) => (await import("./status.ts")).status(call, host),
  },
};
