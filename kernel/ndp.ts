import { ipBytes, ipText } from "./netlink/ip-bytes.ts";
import { macBytes, macText } from "./netlink/mac-bytes.ts";

/** include/uapi/linux/icmpv6.h and include/net/ndisc.h. */
export const IPPROTO_ICMPV6 = 58;
export const NDISC_NEIGHBOUR_SOLICITATION = 135;
export const NDISC_NEIGHBOUR_ADVERTISEMENT = 136;
const ND_OPT_SOURCE_LL_ADDR = 1;
const ND_OPT_TARGET_LL_ADDR = 2;
const ND_OPT_NONCE = 14;
const NA_FLAG_OVERRIDE = 0x20;
const HOP_LIMIT = 255;
const IPV6_HEADER = 40;
const ND_HEADER = 24;

/** All nodes of a link. */
export const ALL_NODES = "ff02::1";
export const ALL_NODES_MAC = "33:33:00:00:00:01";

/** The group that the owner of an address listens to, RFC 4291 section 2.7.1: ff02::1:ffXX:XXXX. */
export function solicitedNode(ip: string): { readonly ip: string; readonly mac: string } {
  const tail = ipBytes(ip).subarray(13);
  const group = Buffer.concat([ipBytes("ff02::1:ff00:0").subarray(0, 13), tail]);
  return { ip: ipText(group), mac: macText(Buffer.concat([Buffer.from([0x33, 0x33, 0xff]), tail])) };
}

/** RFC 4861 section 4.4, unsolicited: override set, our MAC as the target's. The kernel fills in the checksum. */
export function encodeAdvertisement(mac: string, ip: string): Buffer {
  const head = Buffer.from([NDISC_NEIGHBOUR_ADVERTISEMENT, 0, 0, 0, NA_FLAG_OVERRIDE, 0, 0, 0]);
  return Buffer.concat([head, ipBytes(ip), Buffer.from([ND_OPT_TARGET_LL_ADDR, 1]), macBytes(mac)]);
}

/**
 * A complete IPv6 packet that asks who has `ip`, RFC 4862 section 5.4.2: from the unspecified address, so that nobody
 * learns ours. The nonce distinguishes our own packet, looped back by the network, from another host's (RFC 7527).
 */
export function encodeProbe(ip: string, nonce: Buffer): Buffer {
  const head = Buffer.from([NDISC_NEIGHBOUR_SOLICITATION, 0, 0, 0, 0, 0, 0, 0]);
  const option = Buffer.concat([Buffer.from([ND_OPT_NONCE, 1]), nonce]);
  const icmp = Buffer.concat([head, ipBytes(ip), option]);
  const header = Buffer.alloc(IPV6_HEADER);
  header[0] = 0x60;
  header.writeUInt16BE(icmp.length, 4);
  header[6] = IPPROTO_ICMPV6;
  header[7] = HOP_LIMIT;
  ipBytes(solicitedNode(ip).ip).copy(header, 24);
  icmp.writeUInt16BE(checksum(header, icmp), 2);
  return Buffer.concat([header, icmp]);
}

/** The parts of a neighbour solicitation or advertisement that tell who has an address. */
export interface NeighbourMessage {
  readonly type: number;
  /** Source address of the IPv6 packet. */
  readonly from: string;
  /** The address in question. */
  readonly target: string;
  /** The link-layer address that it carries, or "". */
  readonly mac: string;
  readonly nonce?: Buffer;
}

/** Undefined for anything else, and for packets from beyond the link (hop limit below 255). */
export function decodeNeighbourMessage(packet: Buffer): NeighbourMessage | undefined {
  if (packet.length < IPV6_HEADER + ND_HEADER || packet[0]! >> 4 !== 6) return undefined;
  if (packet[6] !== IPPROTO_ICMPV6 || packet[7] !== HOP_LIMIT) return undefined;
  const type = packet[IPV6_HEADER]!;
  if (type !== NDISC_NEIGHBOUR_SOLICITATION && type !== NDISC_NEIGHBOUR_ADVERTISEMENT) return undefined;
  const options = optionsOf(packet.subarray(IPV6_HEADER + ND_HEADER));
  const mac = options.get(ND_OPT_TARGET_LL_ADDR) ?? options.get(ND_OPT_SOURCE_LL_ADDR);
  const nonce = options.get(ND_OPT_NONCE);
  return {
    type,
    from: ipText(packet.subarray(8, 24)),
    target: ipText(packet.subarray(IPV6_HEADER + 8, IPV6_HEADER + ND_HEADER)),
    mac: mac ? macText(mac.subarray(0, 6)) : "",
    ...(nonce && { nonce }),
  };
}

/**
 * Whether another host has the address (it advertises it), or is about to take it (it solicits it from the unspecified
 * address), RFC 4862 sections 5.4.3 and 5.4.4.
 */
export function isConflict(
  message: NeighbourMessage,
  own: { readonly ip: string; readonly mac: string; readonly nonce: Buffer },
): boolean {
  if (message.target !== ipText(ipBytes(own.ip)) || message.mac === own.mac.toLowerCase()) return false;
  if (message.type === NDISC_NEIGHBOUR_ADVERTISEMENT) return true;
  return message.from === "::" && !message.nonce?.equals(own.nonce);
}

/** By type, without the type and length bytes. A length of zero ends the list: RFC 4861 section 4.6 says to drop such packets. */
function optionsOf(bytes: Buffer): Map<number, Buffer> {
  const options = new Map<number, Buffer>();
  for (let at = 0; at + 8 <= bytes.length; ) {
    const length = bytes[at + 1]! * 8;
    if (length === 0 || at + length > bytes.length) break;
    options.set(bytes[at]!, bytes.subarray(at + 2, at + length));
    at += length;
  }
  return options;
}

/** RFC 4443 section 2.3: over the addresses, length, protocol, and the message. */
function checksum(header: Buffer, icmp: Buffer): number {
  const pseudo = Buffer.alloc(8);
  pseudo.writeUInt32BE(icmp.length, 0);
  pseudo[7] = IPPROTO_ICMPV6;
  let sum = 0;
  for (const part of [header.subarray(8, IPV6_HEADER), pseudo, icmp])
    for (let at = 0; at < part.length; at += 2) sum += part.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
