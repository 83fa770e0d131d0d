import { IPPROTO_ICMPV6, NDISC_NEIGHBOUR_ADVERTISEMENT, NDISC_NEIGHBOUR_SOLICITATION } from "./ndp.ts";
import { struct } from "./netlink/struct.ts";
import { Fd } from "./syscall.ts";

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOL_PACKET = 263;
const PACKET_ADD_MEMBERSHIP = 1;
const PACKET_MR_MULTICAST = 0;
export const ETH_P_ARP = 0x0806;
export const ETH_P_IPV6 = 0x86dd;
const NOBODY = "00:00:00:00:00:00";

/** include/uapi/linux/if_packet.h; the MAC field has room for eight bytes. */
const sockaddrLl = struct("sockaddr_ll", 20, [
  ["family", 0, "u16"],
  ["protocol", 2, "be16"],
  ["index", 4, "u32"],
  ["hatype", 8, "u16"],
  ["pkttype", 10, "u8"],
  ["halen", 11, "u8"],
  ["mac", 12, "mac"],
]);
const packetMreq = struct("packet_mreq", 16, [
  ["index", 0, "u32"],
  ["type", 4, "u16"],
  ["alen", 6, "u16"],
  ["mac", 8, "mac"],
]);

/**
 * Sends a packet to a MAC on a link, and stays open for answers of the same protocol. Bound before it sends, and filtered
 * before it is bound: no answer is missed, and no other traffic is queued. Of IPv6 only neighbour messages are received.
 *
 * @param groups multicast MACs that the link accepts while the socket is open.
 */
export function sendPacket(
  index: number,
  protocol: typeof ETH_P_ARP | typeof ETH_P_IPV6,
  packet: Buffer,
  to: string,
  groups: readonly string[] = [],
): Fd {
  const socket = Fd.socket(AF_PACKET, SOCK_DGRAM, 0);
  try {
    if (protocol === ETH_P_IPV6) socket.filter(NEIGHBOUR_MESSAGES);
    socket.bind(linkAddress(index, protocol));
    for (const mac of groups) socket.option(SOL_PACKET, PACKET_ADD_MEMBERSHIP, membership(index, mac));
    socket.sendTo(packet, linkAddress(index, protocol, to));
    return socket;
  } catch (error) {
    socket.closeLater();
    throw error;
  }
}

/** Like sendPacket(), for what nobody answers: not bound, since binding waits for an RCU grace period (6 ms on veth). */
export function emitPacket(index: number, protocol: number, packet: Buffer, to: string): Fd {
  const socket = Fd.socket(AF_PACKET, SOCK_DGRAM, 0);
  try {
    socket.sendTo(packet, linkAddress(index, protocol, to));
    return socket;
  } catch (error) {
    socket.closeLater();
    throw error;
  }
}

const SO_RCVBUFFORCE = 33;
const SOL_SOCKET = 1;
/** Holds the answers of a thousand neighbours while the thread is busy. */
const REPLIES_BYTES = 4 << 20;

/** For ARP replies on a link and nothing else: other hosts' requests never wake the process. Can send, too. */
export function openArpReplies(index: number): Fd {
  const socket = Fd.socket(AF_PACKET, SOCK_DGRAM, 0);
  try {
    socket.filter(ARP_REPLIES);
    socket.option(SOL_SOCKET, SO_RCVBUFFORCE, REPLIES_BYTES);
    socket.bind(linkAddress(index, ETH_P_ARP));
    return socket;
  } catch (error) {
    socket.closeLater();
    throw error;
  }
}

/** What has arrived so far, from the network header on. Each is valid until the next is requested. */
export function* received(socket: Fd): Generator<Buffer> {
  const packet = Buffer.alloc(256);
  for (;;) {
    const length = socket.tryReceive(packet);
    if (length === undefined) return;
    yield packet.subarray(0, Math.min(length, packet.length));
  }
}

/** `struct sockaddr_ll`. */
export const linkAddress = (index: number, protocol: number, mac = NOBODY): Buffer =>
  sockaddrLl.encode({ family: AF_PACKET, protocol, index, hatype: 0, pkttype: 0, halen: 6, mac });

const membership = (index: number, mac: string): Buffer =>
  packetMreq.encode({ index, type: PACKET_MR_MULTICAST, alen: 6, mac });

const BPF_LOAD_BYTE = 0x30;
const BPF_LOAD_HALF = 0x28;
const BPF_JUMP_EQUAL = 0x15;
const BPF_RETURN = 0x06;
const ALL = 0xffffffff;

/** Classic BPF: IPv6 whose next header (byte 6) is ICMPv6 of one of two types (byte 40). Jumps count from the next line. */
const NEIGHBOUR_MESSAGES = Buffer.concat([
  instruction(BPF_LOAD_BYTE, 6),
  instruction(BPF_JUMP_EQUAL, IPPROTO_ICMPV6, 0, 4),
  instruction(BPF_LOAD_BYTE, 40),
  instruction(BPF_JUMP_EQUAL, NDISC_NEIGHBOUR_SOLICITATION, 1, 0),
  instruction(BPF_JUMP_EQUAL, NDISC_NEIGHBOUR_ADVERTISEMENT, 0, 1),
  instruction(BPF_RETURN, ALL),
  instruction(BPF_RETURN, 0),
]);

const ARPOP_REPLY = 2;
/** Classic BPF: ARP packets whose operation (byte 6) is a reply. */
const ARP_REPLIES = Buffer.concat([
  instruction(BPF_LOAD_HALF, 6),
  instruction(BPF_JUMP_EQUAL, ARPOP_REPLY, 0, 1),
  instruction(BPF_RETURN, ALL),
  instruction(BPF_RETURN, 0),
]);

/** `struct sock_filter`. */
function instruction(code: number, k: number, ifTrue = 0, ifFalse = 0): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeUInt16LE(code, 0);
  bytes[2] = ifTrue;
  bytes[3] = ifFalse;
  bytes.writeUInt32LE(k, 4);
  return bytes;
}
