import { ipBytes, ipText } from "./netlink/ip-bytes.ts";
import { linkAddress } from "./packet-socket.ts";
import { AF_INET } from "./protocols.ts";
import { Fd } from "./syscall.ts";

const AF_PACKET = 17;
const SOCK_DGRAM = 2;
const SOCK_RAW = 3;
const ETH_P_IP = 0x0800;
const IPPROTO_ICMP = 1;
/** include/uapi/linux/icmp.h. */
const ICMP_ECHOREPLY = 0;
const ICMP_ECHO = 8;
const SOL_SOCKET = 1;
const SO_RCVBUFFORCE = 33;
/** The kernel charges about twice the size of a packet of 9,000 bytes. */
const BUFFER_BYTES = 8 << 20;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const IP_DF = 0x4000;
const TTL = 64;
const IP_HEADER = 20;
const ICMP_HEADER = 8;
const NONCE = 8;

/** Where an echo request goes: out of a link, to a MAC there, for an address that need not be in that link's network. */
export interface EchoTarget {
  readonly index: number;
  readonly mac: string;
  readonly ip: string;
  /** Size of the whole packet, which must not be fragmented. */
  readonly bytes: number;
}

/**
 * Sends ICMP echo requests out of links that the caller chooses, regardless of routes: does the other end accept packets
 * from this address, on that link, of this size? Its answers may arrive on any link. IPv4 only.
 */
export class EchoQuestions implements Disposable {
  readonly #from: Buffer;
  readonly #out: Fd;
  readonly #in: Fd;
  readonly #id: number;
  readonly #nonce: Buffer;
  readonly #packet = Buffer.alloc(IP_HEADER + ICMP_HEADER + NONCE);

  /** Call in the network namespace. @param random returns so many bytes that nobody can guess. */
  constructor(from: string, random: (bytes: number) => Buffer) {
    this.#from = ipBytes(from);
    this.#nonce = random(NONCE);
    this.#id = random(2).readUInt16BE(0);
    this.#out = Fd.socket(AF_PACKET, SOCK_DGRAM, 0);
    try {
      this.#in = Fd.socket(AF_INET, SOCK_RAW, IPPROTO_ICMP);
      this.#in.option(SOL_SOCKET, SO_RCVBUFFORCE, BUFFER_BYTES);
      this.#in.option(SOL_RAW, ICMP_FILTER, ~(1 << ICMP_ECHOREPLY));
    } catch (error) {
      this.#out.closeLater();
      throw error;
    }
  }

  /** @param number 0 to 65535; the answer carries it. What cannot be sent now is lost, as on a wire. */
  ask(number: number, { index, mac, ip, bytes }: EchoTarget): void {
    const packet = Buffer.alloc(Math.max(bytes, IP_HEADER + ICMP_HEADER + NONCE));
    packet[0] = 0x45;
    packet.writeUInt16BE(packet.length, 2);
    packet.writeUInt16BE(IP_DF, 6);
    packet[8] = TTL;
    packet[9] = IPPROTO_ICMP;
    this.#from.copy(packet, 12);
    ipBytes(ip).copy(packet, 16);
    packet.writeUInt16BE(checksum(packet.subarray(0, IP_HEADER)), 10);
    const icmp = packet.subarray(IP_HEADER);
    icmp[0] = ICMP_ECHO;
    icmp.writeUInt16BE(this.#id, 4);
    icmp.writeUInt16BE(number, 6);
    this.#nonce.copy(icmp, ICMP_HEADER);
    icmp.writeUInt16BE(checksum(icmp), 2);
    this.#out.trySendTo(packet, linkAddress(index, ETH_P_IP, mac));
  }

  /** What has arrived since the last call: the number, and who answered. */
  *answers(): Generator<{ readonly number: number; readonly ip: string }> {
    for (;;) {
      const length = this.#in.tryReceive(this.#packet);
      if (length === undefined) return;
      const at = (this.#packet[0]! & 0xf) * 4;
      if (length < IP_HEADER + ICMP_HEADER + NONCE || at !== IP_HEADER) continue;
      const icmp = this.#packet.subarray(at);
      const isOurs = icmp.readUInt16BE(4) === this.#id && icmp.subarray(ICMP_HEADER, ICMP_HEADER + NONCE).equals(this.#nonce); // biome-ignore format: one row
      if (isOurs) yield { number: icmp.readUInt16BE(6), ip: ipText(Buffer.from(this.#packet.subarray(12, 16))) };
    }
  }

  [Symbol.dispose](): void {
    this.#out.closeLater();
    this.#in[Symbol.dispose]();
  }
}

/** RFC 1071, with the checksum field itself zero. */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += at + 1 < bytes.length ? bytes.readUInt16BE(at) : bytes[at]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
