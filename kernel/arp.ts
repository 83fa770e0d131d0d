import { ipBytes } from "./netlink/ip-bytes.ts";
import { macBytes, macText } from "./netlink/mac-bytes.ts";

/** include/uapi/linux/if_arp.h. */
const ARPOP_REQUEST = 1;
const ARPHRD_ETHER = 1;
const ETH_P_IP = 0x0800;
const SIZE = 28;

const NOBODY = "00:00:00:00:00:00";
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const NO_ADDRESS = "0.0.0.0";

/** The sender or the target of a packet. */
export interface Party {
  readonly mac: string;
  readonly ip: string;
}

/** `struct arphdr` for Ethernet and IPv4, RFC 826. */
export interface Arp {
  readonly operation: number;
  readonly sender: Party;
  readonly target: Party;
}

export function encodeArp({ operation, sender, target }: Arp): Buffer {
  const head = Buffer.alloc(8);
  head.writeUInt16BE(ARPHRD_ETHER, 0);
  head.writeUInt16BE(ETH_P_IP, 2);
  head[4] = 6;
  head[5] = 4;
  head.writeUInt16BE(operation, 6);
  const parties = [sender, target].flatMap(({ mac, ip }) => [macBytes(mac), ipBytes(ip)]);
  return Buffer.concat([head, ...parties]);
}

/** Undefined for anything but an ARP packet for Ethernet and IPv4; trailing padding is allowed. */
export function decodeArp(packet: Buffer): Arp | undefined {
  if (packet.length < SIZE) return undefined;
  if (packet.readUInt16BE(0) !== ARPHRD_ETHER || packet.readUInt16BE(2) !== ETH_P_IP) return undefined;
  if (packet[4] !== 6 || packet[5] !== 4) return undefined;
  const party = (at: number) => ({
    mac: macText(packet.subarray(at, at + 6)),
    ip: packet.subarray(at + 6, at + 10).join("."),
  });
  return { operation: packet.readUInt16BE(6), sender: party(8), target: party(18) };
}

/** A gratuitous request, byte for byte that of sriov-cni (`pkg/utils/packet.go`): every neighbour learns the MAC. */
export const gratuitousArp = (mac: string, ip: string): Arp => ({
  operation: ARPOP_REQUEST,
  sender: { mac, ip },
  target: { mac: BROADCAST, ip },
});

/** RFC 5227 section 2.1.1: the sender's address is zero, so that nobody learns it. */
export const arpProbe = (mac: string, ip: string): Arp => ({
  operation: ARPOP_REQUEST,
  sender: { mac, ip: NO_ADDRESS },
  target: { mac: NOBODY, ip },
});

/** MAC of another host that has `ip`, or is about to take it: its probe counts too (RFC 5227 section 2.1.1). */
export function conflictIn(packet: Arp, own: Party): string | undefined {
  const { operation, sender, target } = packet;
  if (sender.mac === own.mac.toLowerCase()) return undefined;
  const isProbe = operation === ARPOP_REQUEST && sender.ip === NO_ADDRESS && target.ip === own.ip;
  return sender.ip === own.ip || isProbe ? sender.mac : undefined;
}
