import { encodeArp, type Party } from "./arp.ts";
import { Datagrams } from "./datagrams.ts";
import { ipBytes } from "./netlink/ip-bytes.ts";
import { ETH_P_ARP, linkAddress, openArpReplies } from "./packet-socket.ts";
import type { Fd } from "./syscall.ts";

/** include/uapi/linux/if_arp.h. */
const ARPOP_REQUEST = 1;
const ARP_SIZE = 28;
/** Of `struct arphdr` for Ethernet and IPv4: how it begins, and where its parties are. */
const ARP_HEAD = 0x000108000604;
const HEAD_BYTES = 6;
const SENDER_MAC = 8;
const SENDER_IP = 14;
const TARGET_MAC = 18;
const MAC_BYTES = 6;
/** Packets received in one call; Ethernet pads a reply to 46 bytes. */
const RECEIVED = 128;
const RECEIVED_SIZE = 64;

/**
 * Asks neighbours on one link by unicast ARP, at the MAC each is expected to have: their kernels answer, whatever runs
 * there. A request also confirms our entry in the neighbour's table, and revives one that had failed.
 */
export class ArpQuestions implements Disposable {
  readonly #socket: Fd;
  readonly #questions: Datagrams;
  readonly #replies = new Datagrams(RECEIVED, RECEIVED_SIZE);
  /** By address, as a number. */
  readonly #numbers: ReadonlyMap<number, number>;

  /**
   * Call in the link's namespace.
   *
   * @param own the link's MAC, and one of its addresses.
   * @param targets all with different addresses.
   * @throws {SyscallError} `ENODEV` when there is no such link.
   */
  constructor(index: number, own: Party, targets: readonly Party[]) {
    const to = targets.map(({ mac }) => linkAddress(index, ETH_P_ARP, mac));
    this.#questions = new Datagrams(targets.length, ARP_SIZE, to);
    for (const [i, target] of targets.entries())
      encodeArp({ operation: ARPOP_REQUEST, sender: own, target }).copy(this.#questions.data, i * ARP_SIZE);
    this.#numbers = new Map(targets.map(({ ip }, i) => [ipBytes(ip).readUInt32BE(0), i]));
    this.#socket = openArpReplies(index);
  }

  /**
   * Asks targets by number; consecutive ones go out in one system call.
   *
   * @returns how many were sent: a full queue, or a link that is down, loses the rest, as a wire does.
   */
  ask(numbers: readonly number[]): number {
    let sent = 0;
    for (let at = 0; at < numbers.length; ) {
      let run = 1;
      while (numbers[at + run] === numbers[at]! + run) run++;
      sent += this.#questions.send(this.#socket, numbers[at]!, run);
      at += run;
    }
    return sent;
  }

  /** Numbers of the targets that have answered since the last call. An answer from another MAC does not count. */
  *answers(): Generator<number> {
    for (let came = RECEIVED; came === RECEIVED; ) {
      came = this.#replies.receive(this.#socket);
      for (let i = 0; i < came; i++) {
        const number = this.#answerer(i);
        if (number !== undefined) yield number;
      }
    }
  }

  /** Thousands come in a second: no object for each. */
  #answerer(reply: number): number | undefined {
    const { data } = this.#replies;
    const at = reply * RECEIVED_SIZE;
    if (this.#replies.lengthOf(reply) < ARP_SIZE || data.readUIntBE(at, HEAD_BYTES) !== ARP_HEAD) return undefined;
    const number = this.#numbers.get(data.readUInt32BE(at + SENDER_IP));
    if (number === undefined) return undefined;
    const asked = this.#questions.data.readUIntBE(number * ARP_SIZE + TARGET_MAC, MAC_BYTES);
    return data.readUIntBE(at + SENDER_MAC, MAC_BYTES) === asked ? number : undefined;
  }

  [Symbol.dispose](): void {
    this.#socket.closeLater();
  }
}
