import { linkCalled } from "../../cni/kernel/link.ts";
import { NetlinkSocket } from "../../cni/kernel/netlink/socket.ts";

/** An answer is asked for anew after this time: whoever asks waits for rtnl. */
const KEPT_MS = 60_000;

const known = new Map<string, { readonly name: string | undefined; readonly atMs: number }>();

/** Name of the link that has this alternative name; sysfs does not tell these. Never throws. */
export function nameOfAltname(altname: string): string | undefined {
  const nowMs = performance.now();
  const last = known.get(altname);
  if (last && nowMs - last.atMs < KEPT_MS) return last.name;
  const name = ask(altname);
  known.set(altname, { name, atMs: nowMs });
  return name;
}

function ask(altname: string): string | undefined {
  try {
    using rtnl = new NetlinkSocket();
    return linkCalled(altname, rtnl)?.name;
  } catch {
    return undefined; // as if there were none, until it is asked again
  }
}
