import { codeOf } from "../../kernel/errno.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { type RdmaNetnsMode, rdmaNetnsMode, setRdmaNetnsMode } from "../../kernel/rdma.ts";

/**
 * Sets the RDMA namespace mode of the node. Idempotent. The kernel lets it be changed only while the host's network
 * namespace is the only one, so a node with pods has to be rebooted.
 *
 * @returns whether it was different before.
 * @throws {Error} naming mode, errno and what to do.
 */
export function ensureRdmaMode(wanted: RdmaNetnsMode, open: () => NetlinkConnection & Disposable): boolean {
  try {
    using rdma = open();
    if (rdmaNetnsMode(rdma) === wanted) return false;
    rdma.request(setRdmaNetnsMode(wanted));
    return true;
  } catch (cause) {
    const code = codeOf(cause) ?? "";
    const why = code || (cause as Error).message;
    throw new Error(`cannot set the RDMA namespace mode to ${wanted}: ${why}: ${fixOf(code, wanted)}`, { cause });
  }
}

function fixOf(code: string, wanted: RdmaNetnsMode): string {
  if (code === "EBUSY")
    return (
      "pods or other network namespaces exist already: put " +
      `"options ib_core netns_mode=${wanted === "shared" ? 1 : 0}" into /etc/modprobe.d/ib_core.conf and reboot`
    );
  if (code === "EPROTONOSUPPORT" || code === "EOPNOTSUPP")
    return "this kernel has no RDMA subsystem: load ib_core, or leave rdma out of the rails";
  return "rdma(8) `rdma system show` says what the kernel thinks";
}
