import { codeOf } from "./errno.ts";

/** include/uapi/linux/ethtool.h: ethtool's netlink family does not know these rules. */
const ETHTOOL_GRXCLSRLCNT = 0x2e;
const ETHTOOL_GRXCLSRLALL = 0x30;
const ETHTOOL_SRXCLSRLDEL = 0x31;

/** `struct ethtool_rxnfc`: command, `fs.location` of a rule, number of rules, followed by their locations. */
const RXNFC = { size: 192, location: 176, count: 184, locations: 188 };

/** Asks the driver of a link; the kernel fills the same buffer. */
export type Ask = (link: string, rxnfc: Buffer) => void;

/** Rules of a NIC that choose a queue for received packets, or drop them (`ethtool -N`): they survive a move. */
export class RxRules {
  readonly #ask: Ask;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** Locations of all rules; empty where the driver has no such rules. */
  list(link: string): number[] {
    const counted = rxnfc(ETHTOOL_GRXCLSRLCNT);
    try {
      this.#ask(link, counted);
    } catch (error) {
      if (["EOPNOTSUPP", "EINVAL", "EPERM"].includes(codeOf(error) ?? "")) return [];
      throw error;
    }
    const count = counted.readUInt32LE(RXNFC.count);
    if (count === 0) return [];
    const all = rxnfc(ETHTOOL_GRXCLSRLALL, count);
    this.#ask(link, all);
    return Array.from({ length: Math.min(count, all.readUInt32LE(RXNFC.count)) }, (_, i) =>
      all.readUInt32LE(RXNFC.locations + 4 * i),
    );
  }

  remove(link: string, location: number): void {
    const rule = rxnfc(ETHTOOL_SRXCLSRLDEL);
    rule.writeUInt32LE(location, RXNFC.location);
    this.#ask(link, rule);
  }
}

function rxnfc(command: number, count = 0): Buffer {
  const bytes = Buffer.alloc(RXNFC.size + 4 * count);
  bytes.writeUInt32LE(command, 0);
  bytes.writeUInt32LE(count, RXNFC.count);
  return bytes;
}
