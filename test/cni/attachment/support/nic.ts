import { ifinfomsg, parseLink, RTM_SETLINK } from "../../../../kernel/link.ts";
import { attribute, text } from "../../../../kernel/netlink/attribute.ts";
import { macBytes } from "../../../../kernel/netlink/mac-bytes.ts";
import { type Message, type NetlinkConnection, NetlinkError, type Query } from "../../../../kernel/netlink/message.ts";
import { parseVfs, setVf, type VfState } from "../../../../kernel/vf.ts";

const PF = 2;
const VF_LINK = 7;
const HEADER = 16;

/** A driver that takes its time: for the first `late` MAC requests it answers with `answer`, or "ok" and does nothing. */
export interface Moods {
  readonly late?: number;
  readonly answer?: "EBUSY" | "ok";
  /** What was refused as busy is done all the same, as iavf does. */
  readonly comesTrue?: boolean;
  /** The link's own MAC is refused while there is an administrative one and the VF is not trusted, as igb does. */
  readonly wantsTrust?: boolean;
}

/** One PF (link 2, `pf`) with one VF (link 7, `vf`), as a function from request to reply; `asked` says what was set. */
export class Nic implements NetlinkConnection {
  readonly asked: string[] = [];
  readonly #moods: Moods;
  #left: number;
  mac = "02:00:00:00:00:01";
  vf: VfState = {
    mac: "00:00:00:00:00:00",
    vlan: 0,
    qos: 0,
    proto: 0x8100,
    minTxRate: 0,
    maxTxRate: 0,
    spoofchk: true,
    trust: false,
    linkState: "auto",
  };

  constructor(moods: Moods = {}) {
    this.#moods = moods;
    this.#left = moods.late ?? 0;
  }

  get<T>({ message, parse }: Query<T>): T {
    return parse(this.request(message)!);
  }

  request(message: Message): Buffer | undefined {
    const body = Buffer.from(message.body);
    if (message.type === RTM_SETLINK) return this.#set(message, body);
    const isPf = body.readInt32LE(4) === PF || body.includes("pf\0");
    return isPf ? this.#pfLink() : Buffer.concat([ethernet(VF_LINK), text(3, "vf"), attribute(1, macBytes(this.mac))]);
  }

  batch(messages: readonly Message[]): (Buffer | undefined)[] {
    return messages.map((m) => this.request(m));
  }

  dump(): Buffer[] {
    return [];
  }

  #set({ what }: Message, body: Buffer): undefined {
    this.asked.push(what);
    if (body.readInt32LE(4) === PF) return this.#setVf(what, body);
    const { mac } = parseLink(body);
    if (this.#moods.wantsTrust && !this.vf.trust && !/^[0:]+$/.test(this.vf.mac))
      throw new NetlinkError(what, "EADDRNOTAVAIL", "");
    if (this.#moods.comesTrue) this.mac = mac;
    if (this.#isLate(what)) return;
    this.mac = mac;
  }

  /** The settings of a request have the same form as those of a reply; what it does not name, parseVfs() takes as default. */
  #setVf(what: string, body: Buffer): undefined {
    const wanted = parseVfs(body).get(0)!;
    if (/MAC/.test(what)) {
      if (!this.#isLate(what)) this.vf = { ...this.vf, mac: wanted.mac };
    } else this.vf = { ...wanted, mac: this.vf.mac };
  }

  #isLate(what: string): boolean {
    if (this.#left-- <= 0) return false;
    if (this.#moods.answer === "EBUSY") throw new NetlinkError(what, "EBUSY", "");
    return true;
  }

  #pfLink(): Buffer {
    const vfs = Buffer.from(setVf(PF, 0, this.vf).body).subarray(HEADER);
    return Buffer.concat([ethernet(PF), text(3, "pf"), vfs]);
  }
}

function ethernet(index: number): Buffer {
  const header = ifinfomsg(index);
  header.writeUInt16LE(1, 2);
  return header;
}
