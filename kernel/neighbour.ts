import { arpProbe, conflictIn, decodeArp, encodeArp, gratuitousArp } from "./arp.ts";
import {
  ALL_NODES,
  ALL_NODES_MAC,
  decodeNeighbourMessage,
  encodeAdvertisement,
  encodeProbe,
  IPPROTO_ICMPV6,
  isConflict,
  solicitedNode,
} from "./ndp.ts";
import { ipBytes, isIPv6, splitCidr } from "./netlink/ip-bytes.ts";
import { ETH_P_ARP, ETH_P_IPV6, emitPacket, received, sendPacket } from "./packet-socket.ts";
import { AF_INET6 } from "./protocols.ts";
import { Fd } from "./syscall.ts";

const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_BINDTOIFINDEX = 62;
const IPPROTO_IPV6 = 41;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const IPV6_AUTOFLOWLABEL = 70;
const ETHER_BROADCAST = "ff:ff:ff:ff:ff:ff";

/**
 * Tells the neighbours on a link which MAC has these addresses: a gratuitous ARP request, or an unsolicited neighbour
 * advertisement sent on this very link. Call in the link's namespace; close the sockets with `closeLater()`.
 *
 * @param addresses with or without prefix length.
 * @throws {SyscallError} `ENETDOWN` when the link is down, `EADDRNOTAVAIL` when it has no IPv6 address to send from yet.
 */
export function announce(index: number, mac: string, addresses: readonly string[]): Fd[] {
  const sockets: Fd[] = [];
  try {
    for (const address of addresses) {
      const { ip } = splitCidr(address);
      const arp = () => emitPacket(index, ETH_P_ARP, encodeArp(gratuitousArp(mac, ip)), ETHER_BROADCAST);
      sockets.push(isIPv6(ip) ? advertise(index, mac, ip) : arp());
    }
    return sockets;
  } catch (error) {
    for (const socket of sockets) socket.closeLater();
    throw error;
  }
}

/** A question put to the link, open until disposed: does another host have this address? */
export interface AddressProbe extends Disposable {
  /** MAC of another host that has it, or asks for it too; undefined as long as none has said so. Does not wait. */
  owner(): string | undefined;
}

/**
 * Asks on the link who has an address, which need not be ours yet. Call in the link's namespace; the link must be up.
 * The caller decides how long to wait and how often to ask.
 *
 * @throws {SyscallError} `ENETDOWN` when the link is down.
 */
export function probe(index: number, mac: string, ip: string): AddressProbe {
  return isIPv6(ip) ? new NdpProbe(index, mac, ip) : new ArpProbe(index, mac, ip);
}

/** RFC 5227 section 2.1.1. */
class ArpProbe implements AddressProbe {
  readonly #socket: Fd;
  readonly #own: { readonly mac: string; readonly ip: string };

  constructor(index: number, mac: string, ip: string) {
    this.#own = { mac, ip };
    this.#socket = sendPacket(index, ETH_P_ARP, encodeArp(arpProbe(mac, ip)), ETHER_BROADCAST);
  }

  owner(): string | undefined {
    for (const packet of received(this.#socket)) {
      const arp = decodeArp(packet);
      const owner = arp && conflictIn(arp, this.#own);
      if (owner) return owner;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#socket.closeLater();
  }
}

/** RFC 4862 section 5.4, in addition to the kernel's own detection, which runs only once the address is on the link. */
class NdpProbe implements AddressProbe {
  readonly #socket: Fd;
  readonly #own: { readonly mac: string; readonly ip: string; readonly nonce: Buffer };

  constructor(index: number, mac: string, ip: string) {
    const nonce = Buffer.from(Array.from({ length: 6 }, () => Math.floor(Math.random() * 256)));
    this.#own = { mac, ip, nonce };
    const group = solicitedNode(ip).mac;
    this.#socket = sendPacket(index, ETH_P_IPV6, encodeProbe(ip, nonce), group, [ALL_NODES_MAC, group]);
  }

  /** As for ArpProbe; where the answer lacks a MAC, the IPv6 address that it came from. */
  owner(): string | undefined {
    for (const packet of received(this.#socket)) {
      const message = decodeNeighbourMessage(packet);
      if (message && isConflict(message, this.#own)) return message.mac || message.from;
    }
    return undefined;
  }

  [Symbol.dispose](): void {
    this.#socket.closeLater();
  }
}

/** Sent on the link itself: with several rails in a pod the kernel would choose one by its routes. */
function advertise(index: number, mac: string, ip: string): Fd {
  const socket = Fd.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  try {
    socket.option(SOL_SOCKET, SO_BINDTOIFINDEX, index);
    socket.option(IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
    socket.option(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255);
    socket.option(IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0);
    socket.sendTo(encodeAdvertisement(mac, ip), allNodes(index));
    return socket;
  } catch (error) {
    socket.closeLater();
    throw error;
  }
}

/** `struct sockaddr_in6` of all nodes on this link. */
function allNodes(index: number): Buffer {
  const address = Buffer.alloc(28);
  address.writeUInt16LE(AF_INET6, 0);
  ipBytes(ALL_NODES).copy(address, 8);
  address.writeUInt32LE(index, 24);
  return address;
}
