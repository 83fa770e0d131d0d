import { isIPv6 } from "node:net";
import { attribute, attributes } from "./netlink/attribute.ts";
import { ipBytes, ipText } from "./netlink/ip-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_EXCL } from "./netlink/message.ts";

/** include/uapi/linux/if_addr.h. */
const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;
const AF_INET = 2;
const AF_INET6 = 10;

/** An address on a link. */
export interface Address {
  readonly index: number;
  /** `10.0.0.5/24`. */
  readonly cidr: string;
  readonly flags: number;
}

/** Refused with `EEXIST` when the link has it already. IPv4 gets the broadcast address that ip(8) gives with `brd +`. */
export function addAddress(index: number, cidr: string): Message {
  const [ip, bits] = split(cidr);
  const bytes = ipBytes(ip);
  const header = Buffer.alloc(8);
  header[0] = isIPv6(ip) ? AF_INET6 : AF_INET;
  header[1] = bits;
  header.writeUInt32LE(index, 4);
  const broadcast = isIPv6(ip) || bits > 30 ? [] : [attribute(IFA_BROADCAST, broadcastOf(bytes, bits))];
  const body = Buffer.concat([header, attribute(IFA_LOCAL, bytes), attribute(IFA_ADDRESS, bytes), ...broadcast]);
  return { what: `add address ${cidr}`, type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, body };
}

/** For dump(): all addresses of the namespace. */
export function listAddresses(): Message {
  return { what: "list addresses", type: RTM_GETADDR, body: Buffer.alloc(8) };
}

/** Body of a RTM_NEWADDR message. */
export function parseAddress(body: Buffer): Address {
  let ip = "";
  let flags = body.readUInt8(2);
  for (const { type, data } of attributes(body.subarray(8))) {
    if (type === IFA_LOCAL || (type === IFA_ADDRESS && !ip)) ip = ipText(data);
    else if (type === IFA_FLAGS) flags = data.readUInt32LE(0);
  }
  return { index: body.readUInt32LE(4), cidr: `${ip}/${body.readUInt8(1)}`, flags };
}

function split(cidr: string): [ip: string, bits: number] {
  const [ip = "", bits] = cidr.split("/");
  return [ip, Number(bits ?? (isIPv6(ip) ? 128 : 32))];
}

function broadcastOf(ip: Buffer, bits: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((ip.readUInt32BE(0) | (0xffffffff >>> bits)) >>> 0);
  return bytes;
}
