import { codeOf } from "./errno.ts";
import type { Ask } from "./rx-rules.ts";

/** include/uapi/linux/ethtool.h: `struct ethtool_drvinfo`; netlink's ethtool family has no such message. */
const ETHTOOL_GDRVINFO = 3;
const DRVINFO = { size: 196, firmware: 68, length: 32 };

/** The firmware version that a driver reports (`ethtool -i`), verbatim; undefined where it reports none. */
export function firmwareOf(netdev: string, ask: Ask): string | undefined {
  const info = Buffer.alloc(DRVINFO.size);
  info.writeUInt32LE(ETHTOOL_GDRVINFO, 0);
  try {
    ask(netdev, info);
  } catch (error) {
    if (["EOPNOTSUPP", "ENODEV"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
  const bytes = info.subarray(DRVINFO.firmware, DRVINFO.firmware + DRVINFO.length);
  const text = bytes.toString("latin1").split("\0", 1)[0]!.trim();
  return text === "" || text === "N/A" ? undefined : text;
}
