import {
  type Attribute,
  attribute,
  attributes,
  NLA_F_NESTED,
  nested,
  readU32,
  text,
  u8,
  u32,
} from "./netlink/attribute.ts";
import type { Message, NetlinkConnection } from "./netlink/message.ts";

/** include/uapi/linux/netlink.h and genetlink.h. */
export const NETLINK_GENERIC = 16;
const GENL_ID_CTRL = 16;
const CTRL_CMD_GETFAMILY = 3;
const CTRL_ATTR_FAMILY_ID = 1;
const CTRL_ATTR_FAMILY_NAME = 2;
/** `struct genlmsghdr`. */
const GENL_HEADER = 4;

/** include/uapi/linux/ethtool_netlink.h. */
const ETHTOOL_A_HEADER = 1;
const ETHTOOL_A_HEADER_DEV_INDEX = 1;
const ETHTOOL_A_HEADER_FLAGS = 3;
const ETHTOOL_FLAG_COMPACT_BITSETS = 1;
const ETHTOOL_FLAG_OMIT_REPLY = 2;
const ETHTOOL_A_BITSET_SIZE = 2;
const ETHTOOL_A_BITSET_VALUE = 4;
const ETHTOOL_A_BITSET_MASK = 5;

/** One of ethtool's messages: `ETHTOOL_MSG_*_GET` and `_SET`, and which parts of its answer can be set. */
interface Topic {
  readonly get: number;
  readonly set: number;
  /** `ETHTOOL_A_*` attributes that are numbers, and their names in ethtool(8). */
  readonly numbers?: Readonly<Record<number, string>>;
  /** `ETHTOOL_A_*` of a set of bits. */
  readonly bits?: number;
}

/** In the order in which they are restored: a feature may limit what a ring or a channel can be. */
const TOPICS = {
  features: { get: 11, set: 12, bits: 3 },
  "private-flags": { get: 13, set: 14, bits: 2 },
  rings: {
    get: 15,
    set: 16,
    numbers: {
      6: "rx",
      7: "rx-mini",
      8: "rx-jumbo",
      9: "tx",
      10: "rx-buf-len",
      11: "tcp-data-split",
      12: "cqe-size",
      13: "tx-push",
    },
  },
  channels: { get: 17, set: 18, numbers: { 6: "rx", 7: "tx", 8: "other", 9: "combined" } },
  coalescing: {
    get: 19,
    set: 20,
    numbers: {
      2: "rx-usecs",
      3: "rx-frames",
      4: "rx-usecs-irq",
      5: "rx-frames-irq",
      6: "tx-usecs",
      7: "tx-frames",
      8: "tx-usecs-irq",
      9: "tx-frames-irq",
      10: "stats-block-usecs",
      11: "adaptive-rx",
      12: "adaptive-tx",
      13: "pkt-rate-low",
      14: "rx-usecs-low",
      15: "rx-frames-low",
      16: "tx-usecs-low",
      17: "tx-frames-low",
      18: "pkt-rate-high",
      19: "rx-usecs-high",
      20: "rx-frames-high",
      21: "tx-usecs-high",
      22: "tx-frames-high",
      23: "sample-interval",
      24: "cqe-mode-tx",
      25: "cqe-mode-rx",
    },
  },
} as const satisfies Record<string, Topic>;

export type EthtoolGroup = keyof typeof TOPICS;
export const ETHTOOL_GROUPS = Object.keys(TOPICS) as EthtoolGroup[];
const topicOf = (group: EthtoolGroup): Topic => TOPICS[group];

/** Settings of one group by name; bit sets as `bits`: their number, a colon, and the bytes in hex. */
export type EthtoolSettings = Readonly<Record<string, number | string>>;

/** ethtool's netlink family, whose number is the same in all namespaces until the next boot. */
export class Ethtool {
  readonly #socket: NetlinkConnection;
  readonly #family: number;

  /** @param generic a connection of NETLINK_GENERIC. @throws {NetlinkError} `ENOENT` before kernel 5.6. */
  constructor(generic: NetlinkConnection) {
    this.#socket = generic;
    const name = text(CTRL_ATTR_FAMILY_NAME, "ethtool");
    const reply = generic.request(message("find ethtool's family", GENL_ID_CTRL, CTRL_CMD_GETFAMILY, [name], true))!;
    const id = attributes(reply.subarray(GENL_HEADER)).find((a) => a.type === CTRL_ATTR_FAMILY_ID);
    if (!id) throw new Error("cannot use ethtool: its family has no number");
    this.#family = id.data.readUInt16LE(0);
  }

  /** @throws {NetlinkError} `EOPNOTSUPP` where the driver has no such settings. */
  read(index: number, group: EthtoolGroup): EthtoolSettings {
    const { get, numbers = {}, bits } = topicOf(group);
    const what = `read ${group} of link ${index}`;
    const body = this.#socket.request(message(what, this.#family, get, [header(index)], true))!;
    const settings: Record<string, number | string> = {};
    for (const a of attributes(body.subarray(GENL_HEADER)))
      if (a.type === bits) settings["bits"] = readBits(a);
      else if (numbers[a.type]) settings[numbers[a.type]!] = a.data.length === 1 ? a.data[0]! : readU32(a);
    return settings;
  }

  /** Of the settings named in both, sets those that differ between `now` and `wanted`. @throws {NetlinkError} in the driver's words. */
  write(index: number, group: EthtoolGroup, wanted: EthtoolSettings, now: EthtoolSettings): void {
    const { set, numbers = {}, bits } = topicOf(group);
    const body = Object.entries(numbers)
      .filter(([, name]) => differs(name, wanted, now))
      .map(([type, name]) => number(Number(type), name, Number(wanted[name])));
    if (bits !== undefined && differs("bits", wanted, now))
      body.push(writeBits(bits, String(wanted["bits"]), String(now["bits"])));
    if (body.length === 0) return;
    this.#socket.request(message(`set ${group} of link ${index}`, this.#family, set, [header(index), ...body]));
  }
}

const differs = (name: string, wanted: EthtoolSettings, now: EthtoolSettings): boolean =>
  wanted[name] !== undefined && now[name] !== undefined && wanted[name] !== now[name];

function message(what: string, type: number, command: number, body: readonly Buffer[], get = false): Message {
  return { what, type, get, body: Buffer.concat([Buffer.from([command, 1, 0, 0]), ...body]) };
}

const header = (index: number): Buffer =>
  nested(ETHTOOL_A_HEADER | NLA_F_NESTED, [
    u32(ETHTOOL_A_HEADER_DEV_INDEX, index),
    u32(ETHTOOL_A_HEADER_FLAGS, ETHTOOL_FLAG_COMPACT_BITSETS | ETHTOOL_FLAG_OMIT_REPLY),
  ]);

const BYTES = ["tcp-data-split", "tx-push", "adaptive-rx", "adaptive-tx", "cqe-mode-tx", "cqe-mode-rx"];
const number = (type: number, name: string, value: number): Buffer => (BYTES.includes(name) ? u8 : u32)(type, value);

/** A bitset in its compact form: 32-bit words. */
function readBits({ data }: Attribute): string {
  const parts = attributes(data);
  const size = parts.find((a) => a.type === ETHTOOL_A_BITSET_SIZE);
  const value = parts.find((a) => a.type === ETHTOOL_A_BITSET_VALUE);
  return `${size ? readU32(size) : 0}:${value?.data.toString("hex") ?? ""}`;
}

/** Names only the bits that differ. */
function writeBits(type: number, wanted: string, now: string): Buffer {
  const [size, value] = split(wanted);
  const [, was] = split(now);
  const mask = Buffer.from(value.map((byte, i) => byte ^ (was[i] ?? 0)));
  return nested(type | NLA_F_NESTED, [
    u32(ETHTOOL_A_BITSET_SIZE, size),
    attribute(ETHTOOL_A_BITSET_VALUE, value),
    attribute(ETHTOOL_A_BITSET_MASK, mask),
  ]);
}

function split(bits: string): [size: number, value: Buffer] {
  const [size = "0", hex = ""] = bits.split(":");
  return [Number(size), Buffer.from(hex, "hex")];
}
