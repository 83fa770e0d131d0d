import { attribute, attributes, readU32, u32 } from "./netlink/attribute.ts";
import { ipText, splitCidr } from "./netlink/ip-bytes.ts";
import { type Message, NLM_F_CREATE, NLM_F_EXCL } from "./netlink/message.ts";
import { AF_INET, AF_INET6 } from "./protocols.ts";

/** `RTM_*`: include/uapi/linux/rtnetlink.h; `IFA_*`: include/uapi/linux/if_addr.h. */
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const IFA_ADDRESS = 1;
const IFA_LOCAL = 2;
const IFA_BROADCAST = 4;
const IFA_FLAGS = 8;
const IFA_F_NODAD = 0x02;
const IFA_F_OPTIMISTIC = 0x04;
export const IFA_F_DADFAILED = 0x08;
export const IFA_F_TENTATIVE = 0x40;
const IFA_F_NOPREFIXROUTE = 0x200;

/** An address on a link. */
export interface LinkAddress {
  readonly index: number;
  /** `10.0.0.5/24`. */
  readonly cidr: string;
  /** `IFA_F_*` bits. */
  readonly flags: number;
}

/** How the kernel treats a new address. */
export interface AddressOptions {
  /** IPv6: usable at once, without duplicate address detection. */
  readonly noDad?: boolean;
  /** IPv6: usable during duplicate address detection (RFC 4429). */
  readonly optimistic?: boolean;
  /** Adds no route to the address's network. */
  readonly noPrefixRoute?: boolean;
}

/** Refused with `EEXIST` when the link already has it. IPv4 gets the broadcast address that ip(8) gives with `brd +`. */
export function addAddress(index: number, cidr: string, options: AddressOptions = {}): Message {
  const { bytes, bits } = splitCidr(cidr);
  const broadcast = bytes.length === 16 || bits > 30 ? [] : [attribute(IFA_BROADCAST, broadcastOf(bytes, bits))];
  const body = Buffer.concat([...base(index, cidr, flagsOf(options)), ...broadcast]);
  return { what: `add address ${cidr}`, type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, body };
}

/** Refused with `EADDRNOTAVAIL` when the link does not have it. */
export function deleteAddress(index: number, cidr: string): Message {
  return { what: `delete address ${cidr}`, type: RTM_DELADDR, body: Buffer.concat(base(index, cidr, 0)) };
}

/** For dump(): all addresses of the namespace, or those of one link; the kernel does the filtering (4.20, strict checks). */
export function listAddresses(index = 0): Message {
  const header = Buffer.alloc(8);
  header.writeUInt32LE(index, 4);
  return { what: "list addresses", type: RTM_GETADDR, body: header };
}

/** Body of a RTM_NEWADDR message. On a point-to-point link this is the local address. */
export function parseAddress(body: Buffer): LinkAddress {
  let ip = "";
  let flags = body.readUInt8(2);
  for (const a of attributes(body.subarray(8))) {
    if (a.type === IFA_LOCAL || (a.type === IFA_ADDRESS && !ip)) ip = ipText(a.data);
    else if (a.type === IFA_FLAGS) flags = readU32(a);
  }
  return { index: body.readUInt32LE(4), cidr: `${ip}/${body.readUInt8(1)}`, flags };
}

/** `struct ifaddrmsg` and the address. Flags above 255 do not fit into the header's byte. */
function base(index: number, cidr: string, flags: number): Buffer[] {
  const { bytes, bits } = splitCidr(cidr);
  const header = Buffer.alloc(8);
  header[0] = bytes.length === 16 ? AF_INET6 : AF_INET;
  header[1] = bits;
  header[2] = flags < 256 ? flags : 0;
  header.writeUInt32LE(index, 4);
  const more = flags < 256 ? [] : [u32(IFA_FLAGS, flags)];
  return [header, attribute(IFA_LOCAL, bytes), ...more, attribute(IFA_ADDRESS, bytes)];
}

const flagsOf = ({ noDad, optimistic, noPrefixRoute }: AddressOptions): number =>
  (noDad ? IFA_F_NODAD : 0) | (optimistic ? IFA_F_OPTIMISTIC : 0) | (noPrefixRoute ? IFA_F_NOPREFIXROUTE : 0);

function broadcastOf(ip: Buffer, bits: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE((ip.readUInt32BE(0) | (0xffffffff >>> bits)) >>> 0);
  return bytes;
}
