import { isIPv6 } from "node:net";
import { macBytes, macText } from "./link.ts";
import { ipBytes } from "./netlink/ip-bytes.ts";
import { Fd } from "./syscall.ts";

const AF_INET6 = 10;
const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const SOL_SOCKET = 1;
const SO_BINDTOIFINDEX = 62;
const IPPROTO_ICMPV6 = 58;
const IPPROTO_IPV6 = 41;
const IPV6_MULTICAST_IF = 17;
const IPV6_MULTICAST_HOPS = 18;
const ETH_P_ARP = 0x0806;
const ARPOP_REQUEST = 1;
const ARPOP_REPLY = 2;
const BROADCAST = "ff:ff:ff:ff:ff:ff";
const ND_NEIGHBOR_ADVERT = 136;
const ND_NA_FLAG_OVERRIDE = 0x20;

/**
 * Tells a rail's neighbours which MAC has these addresses: a gratuitous ARP request, or an unsolicited neighbour
 * advertisement sent on this very link. Call in the link's namespace; close the sockets with `closeLater()`.
 *
 * @param addresses with or without prefix length.
 */
export function announce(index: number, mac: string, addresses: readonly string[]): Fd[] {
  return addresses.map((address) => {
    const ip = address.split("/")[0]!;
    return isIPv6(ip) ? advertise(index, mac, ip) : sendArp(index, ARPOP_REQUEST, { mac, ip }, { mac: BROADCAST, ip });
  });
}

/** An ARP conversation about one address, open until disposed: who else has it? (RFC 5227 section 2.1.1) */
export class ArpProbe implements Disposable {
  readonly #socket: Fd;
  readonly #mac: string;
  readonly #ip: Buffer;

  /** Sends the first probe: sender address zero, so that nobody learns it. Call in the link's namespace. */
  constructor(index: number, mac: string, ip: string) {
    this.#mac = mac;
    this.#ip = ipBytes(ip);
    this.#socket = sendArp(index, ARPOP_REQUEST, { mac, ip: "0.0.0.0" }, { mac: "00:00:00:00:00:00", ip });
  }

  /** MAC of another host that has the address, or undefined when nobody has answered so far. Does not wait. */
  owner(): string | undefined {
    for (const packet of this.#received()) {
      if (packet.length < 28 || packet.readUInt16BE(6) > ARPOP_REPLY) continue;
      const sender = macText(packet.subarray(8, 14));
      const isAboutIt = packet.subarray(14, 18).equals(this.#ip);
      if (isAboutIt && sender !== this.#mac) return sender;
    }
    return undefined;
  }

  *#received(): Generator<Buffer> {
    const packet = Buffer.alloc(128);
    for (;;) {
      const length = this.#socket.tryReceive(packet);
      if (length === undefined) return;
      yield Buffer.from(packet.subarray(0, Math.min(length, packet.length)));
    }
  }

  [Symbol.dispose](): void {
    this.#socket.closeLater();
  }
}

interface Party {
  readonly mac: string;
  readonly ip: string;
}

/** `struct arphdr` for Ethernet and IPv4, broadcast as sriov-cni does (`pkg/utils/packet.go`). */
function sendArp(index: number, operation: number, sender: Party, target: Party): Fd {
  const head = Buffer.from([0, 1, 8, 0, 6, 4, 0, operation]);
  const packet = Buffer.concat([
    head,
    macBytes(sender.mac),
    ipBytes(sender.ip),
    macBytes(target.mac),
    ipBytes(target.ip),
  ]);
  const socket = Fd.socket(AF_PACKET, SOCK_DGRAM, ((ETH_P_ARP & 0xff) << 8) | (ETH_P_ARP >> 8));
  try {
    socket.bind(linkAddress(index));
    socket.sendTo(packet, linkAddress(index, BROADCAST));
    return socket;
  } catch (error) {
    socket.closeLater();
    throw error;
  }
}

/** `struct sockaddr_ll`. */
function linkAddress(index: number, mac = ""): Buffer {
  const address = Buffer.alloc(20);
  address.writeUInt16LE(AF_PACKET, 0);
  address.writeUInt16BE(ETH_P_ARP, 2);
  address.writeInt32LE(index, 4);
  address[11] = mac ? 6 : 0;
  if (mac) macBytes(mac).copy(address, 12);
  return address;
}

/** RFC 4861 section 4.4: to all nodes, override set, our MAC as target link-layer address. */
function advertise(index: number, mac: string, ip: string): Fd {
  const socket = Fd.socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6);
  try {
    socket.option(SOL_SOCKET, SO_BINDTOIFINDEX, index);
    socket.option(IPPROTO_IPV6, IPV6_MULTICAST_IF, index);
    socket.option(IPPROTO_IPV6, IPV6_MULTICAST_HOPS, 255);
    const head = Buffer.from([ND_NEIGHBOR_ADVERT, 0, 0, 0, ND_NA_FLAG_OVERRIDE, 0, 0, 0]);
    socket.sendTo(Buffer.concat([head, ipBytes(ip), Buffer.from([2, 1]), macBytes(mac)]), allNodes(index));
    return socket;
  } catch (error) {
    socket.closeLater();
    throw error;
  }
}

/** `struct sockaddr_in6` of ff02::1 on this link. */
function allNodes(index: number): Buffer {
  const address = Buffer.alloc(28);
  address.writeUInt16LE(AF_INET6, 0);
  ipBytes("ff02::1").copy(address, 8);
  address.writeUInt32LE(index, 24);
  return address;
}
