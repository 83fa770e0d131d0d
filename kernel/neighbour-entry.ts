import { attribute, attributes, u8 } from "./netlink/attribute.ts";
import { ipBytes, ipText, isIPv6 } from "./netlink/ip-bytes.ts";
import { macBytes, macText } from "./netlink/mac-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_REPLACE } from "./netlink/message.ts";
import { AF_INET, AF_INET6 } from "./protocols.ts";

/** include/uapi/linux/rtnetlink.h and neighbour.h. */
const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NDA_IFINDEX = 8;
const NDA_PROTOCOL = 12;
const NUD_STALE = 0x04;
const NTF_EXT_LEARNED = 0x10;
const NDMSG = 12;

/** An entry in the kernel's neighbour table. */
export interface NeighbourEntry {
  readonly index: number;
  readonly ip: string;
  /** "" while it is unknown. */
  readonly mac: string;
  /** Set by a program (`extern_learn`), and so exempt from the table's limits (`gc_thresh3`) and garbage collection. */
  readonly isTold: boolean;
  /** Who set it, numbered like a route's protocol; 0 where nobody says, and before kernel 5.2. */
  readonly protocol: number;
}

/**
 * Tells the kernel where a neighbour is (`ip neigh replace … extern_learn nud stale protocol …`). The kernel verifies it
 * on use, like any other entry, but never drops it, however full the table is.
 */
export function tellNeighbour(index: number, ip: string, mac: string, protocol: number): Message {
  const header = ndmsg(index, ip);
  header.writeUInt16LE(NUD_STALE, 8);
  header[10] = NTF_EXT_LEARNED;
  const body = Buffer.concat([
    header,
    attribute(NDA_DST, ipBytes(ip)),
    attribute(NDA_LLADDR, macBytes(mac)),
    u8(NDA_PROTOCOL, protocol),
  ]);
  return { what: `tell neighbour ${ip}`, type: RTM_NEWNEIGH, flags: NLM_F_CREATE | NLM_F_REPLACE, body };
}

/** Deleting an entry that is already gone is not an error. */
export function deleteNeighbour(index: number, ip: string): Message {
  const body = Buffer.concat([ndmsg(index, ip), attribute(NDA_DST, ipBytes(ip))]);
  return { what: `delete neighbour ${ip}`, type: RTM_DELNEIGH, body, settled: "ENOENT" };
}

/** For dump(): the neighbours on a link, of both families; the kernel does the filtering (4.20, strict checks). */
export function listNeighbours(index: number): Message {
  const link = Buffer.alloc(4);
  link.writeUInt32LE(index);
  const body = Buffer.concat([Buffer.alloc(NDMSG), attribute(NDA_IFINDEX, link)]);
  return { what: `list neighbours of link ${index}`, type: RTM_GETNEIGH, body };
}

/** Body of a RTM_NEWNEIGH message. */
export function parseNeighbour(body: Buffer): NeighbourEntry {
  const found = new Map(attributes(body.subarray(NDMSG)).map(({ type, data }) => [type, data]));
  const [ip, mac] = [found.get(NDA_DST), found.get(NDA_LLADDR)];
  return {
    index: body.readInt32LE(4),
    ip: ip ? ipText(ip) : "",
    mac: mac ? macText(mac) : "",
    protocol: found.get(NDA_PROTOCOL)?.readUInt8(0) ?? 0,
    isTold: (body.readUInt8(10) & NTF_EXT_LEARNED) !== 0,
  };
}

/** `struct ndmsg`. */
function ndmsg(index: number, ip: string): Buffer {
  const header = Buffer.alloc(NDMSG);
  header[0] = isIPv6(ip) ? AF_INET6 : AF_INET;
  header.writeInt32LE(index, 4);
  return header;
}
