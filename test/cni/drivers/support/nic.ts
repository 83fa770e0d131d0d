import type { VfState } from "../../../../kernel/vf.ts";
import { freshVf, NO_MAC, type Op, type Profile, type Refusal } from "./profiles.ts";

/** An errno that the kernel answers. */
export class Errno extends Error {
  readonly code: string;

  constructor(code: string) {
    super(code);
    this.code = code;
  }
}

/** Virtual time: what blocks costs nothing. `rtnlMs`: how long the lock of the whole node was held. */
export class VirtualClock {
  #nowMs = 0;
  rtnlMs = 0;

  nowMs = (): number => this.#nowMs;

  sleep = async (ms: number): Promise<void> => {
    this.#nowMs += ms;
    await new Promise(setImmediate);
  };

  pass(ms: number): void {
    this.#nowMs += ms;
  }

  /** A request that holds rtnl. */
  block(ms: number): void {
    this.#nowMs += ms;
    this.rtnlMs += ms;
  }
}

/** A network interface of the double. */
export interface DoubleLink {
  index: number;
  name: string;
  mac: string;
  mtu: number;
  alias: string;
  altnames: string[];
  up: boolean;
  /** `ifi_type`: 1 is Ethernet, 32 InfiniBand. */
  type: number;
  readonly pci: string;
  readonly permMac: string;
  /** Of a virtual link, which has no `pci`. */
  kind?: string;
}

/** A VF: what the PF keeps for it, and its link. */
export class Vf {
  link: DoubleLink;
  state: VfState;
  /** The MAC in the list is an administrator's. */
  pinned = false;
  resetUntilMs = 0;
  mailboxOpen = true;
  guid = "0000:0000:0000:0000";

  constructor(link: DoubleLink, profile: Profile) {
    this.link = link;
    this.state = freshVf(profile);
  }
}

/** One PF with its VFs, as `profile` says. Every request is noted, with what became of it. */
export class Nic {
  readonly profile: Profile;
  readonly clock: VirtualClock;
  readonly pf: DoubleLink;
  readonly vfs: Vf[];
  readonly seen: string[] = [];
  carrier = true;
  /** Until when somebody writes `sriov_numvfs`. */
  makingUntilMs = 0;
  mtuMax = 9000;

  constructor(profile: Profile, clock: VirtualClock, pf: DoubleLink, links: readonly DoubleLink[]) {
    this.profile = profile;
    this.clock = clock;
    this.pf = pf;
    this.vfs = links.map((link) => new Vf(link, profile));
    for (const vf of this.vfs) this.#tellOwnMac(vf);
  }

  /** VFs that the list shows now; asking may take long. */
  list(): Map<number, VfState> {
    const { inReset, listEnds } = this.profile;
    if (this.#isMaking()) return new Map();
    const listed = [...this.vfs.entries()].filter(([i, vf]) => {
      if (i >= listEnds) return false;
      if (!this.#isInReset(vf) || !inReset.list) return true;
      this.clock.block(Math.min(inReset.list.blockMs, vf.resetUntilMs - this.clock.nowMs()));
      return !this.#isInReset(vf);
    });
    return new Map(listed.map(([i, vf]) => [i, vf.state]));
  }

  /** Applies in the kernel's order; the first refusal ends it, what came before stays. */
  set(index: number, wanted: Partial<VfState>): void {
    const vf = this.vfs[index];
    if (!vf) throw new Errno("EINVAL");
    const ops: [Op, boolean][] = [
      ["mac", "mac" in wanted],
      ["vlan", "vlan" in wanted],
      ["rate", "maxTxRate" in wanted],
      ["spoofchk", "spoofchk" in wanted],
      ["linkState", "linkState" in wanted],
      ["trust", "trust" in wanted],
    ];
    for (const [op, isWanted] of ops) if (isWanted) this.#note(`pf ${op}`, () => this.#apply(op, vf, wanted));
  }

  setLinkMac(vf: Vf, mac: string): void {
    if (mac === vf.link.mac) return; // does not reach the driver
    this.#note("link mac", () => {
      const { inReset, pinned, pinnedTakesEqual, closesMailbox } = this.profile;
      const isGiven = pinnedTakesEqual && mac === vf.state.mac;
      if (this.#isInReset(vf) && inReset.linkMac) this.#refuse(inReset.linkMac);
      if (!vf.mailboxOpen && closesMailbox.length > 0) throw new Errno("EPERM");
      if (pinned && vf.pinned && !vf.state.trust && !isGiven) throw new Errno(pinned);
      vf.link.mac = mac;
      if (this.profile.showsOwnMac && vf.state.trust) vf.state = { ...vf.state, mac }; // it may choose, and stays pinned
      this.#tellOwnMac(vf);
    });
  }

  setMtu(vf: Vf, mtu: number): void {
    if (mtu === vf.link.mtu) return;
    this.#note("link mtu", () => {
      if (!vf.mailboxOpen || mtu > this.mtuMax) throw new Errno("EINVAL");
      vf.link.mtu = mtu;
    });
  }

  setUp(vf: Vf, up: boolean): void {
    if (vf.link.up === up) return;
    this.#note(up ? "up" : "down", () => {
      const { inReset } = this.profile;
      if (up && this.#isInReset(vf) && inReset.up) this.#refuse(inReset.up);
      vf.link.up = up;
      if (!up) this.#reset(vf);
    });
  }

  /** The driver is unbound and bound: the VF sees what was set meanwhile, and else makes up a MAC. */
  rebind(vf: Vf): void {
    const admin = vf.state.mac;
    if (this.profile.guidFromAdminMac) vf.guid = guidOf(admin);
    if (vf.pinned || (!this.profile.showsOwnMac && admin !== NO_MAC)) vf.link.mac = admin;
  }

  /** Whether what the VF's link sends gets out. */
  passes(vf: Vf): boolean {
    const { spoofchk, mac, linkState } = vf.state;
    if (!vf.link.up || linkState === "disable") return false;
    return !spoofchk || !this.profile.spoofNeedsAdminMac || mac === vf.link.mac;
  }

  /** The VF resets itself, for whatever reason. */
  resetFor(vf: Vf, ms: number): void {
    vf.resetUntilMs = this.clock.nowMs() + ms;
  }

  #apply(op: Op, vf: Vf, wanted: Partial<VfState>): void {
    const { profile } = this;
    if (this.#isMaking()) throw new Errno(profile.busyWhileMaking!);
    const outlives = profile.driver === "i40e" && (op === "trust" || op === "linkState");
    if (this.#isInReset(vf) && profile.inReset.set && !outlives) this.#waitOrRefuse(vf, profile.inReset.set);
    if (this.#perform(op, vf, wanted) === "same") return;
    if (profile.resetsVf.includes(op)) this.#startReset(vf, op);
    if (profile.closesMailbox.includes(op)) vf.mailboxOpen = false;
  }

  /** A driver that waits under rtnl goes on when the reset ends meanwhile. */
  #waitOrRefuse(vf: Vf, { errno, blockMs = 0 }: Refusal): void {
    this.clock.block(Math.min(blockMs, Math.max(0, vf.resetUntilMs - this.clock.nowMs())));
    if (this.#isInReset(vf)) throw new Errno(errno);
  }

  #perform(op: Op, vf: Vf, wanted: Partial<VfState>): "same" | "changed" {
    if (op === "mac") return this.#setAdminMac(vf, wanted.mac!);
    if (op === "vlan") this.#checkVlan(wanted);
    if (op === "rate") this.#checkRate(wanted);
    if (op === "linkState" && this.profile.linkState === "no op") throw new Errno("EOPNOTSUPP");
    if (op === "linkState" && this.profile.linkState === "ignores enable" && wanted.linkState === "enable")
      return "same";
    const { mac: _, ...all } = wanted;
    const mine = Object.fromEntries(KEYS[op].flatMap((key) => (key in all ? [[key, all[key as never]]] : [])));
    const before = vf.state;
    vf.state = { ...vf.state, ...mine };
    return Object.keys(mine).every((key) => before[key as keyof VfState] === mine[key]) ? "same" : "changed";
  }

  #setAdminMac(vf: Vf, mac: string): "same" | "changed" {
    if (Number.parseInt(mac, 16) & 1) throw new Errno("EINVAL");
    if (!this.profile.pinsOnEqualMac && this.profile.showsOwnMac && mac === vf.state.mac) return "same";
    vf.pinned = mac !== NO_MAC;
    vf.state = { ...vf.state, mac };
    return "changed";
  }

  #checkVlan({ proto = 0x8100 }: Partial<VfState>): void {
    if (proto !== 0x8100 && this.profile.proto8021ad === "refused") throw new Errno("EPROTONOSUPPORT");
  }

  #checkRate({ minTxRate = 0, maxTxRate = 0 }: Partial<VfState>): void {
    const { min, needsCarrier, maxMbps } = this.profile.rate;
    if ((minTxRate > 0 && !min) || (needsCarrier && !this.carrier) || maxTxRate > maxMbps) throw new Errno("EINVAL");
  }

  #startReset(vf: Vf, op: Op): void {
    vf.resetUntilMs = this.clock.nowMs() + this.profile.resetMs;
    if (op !== "mac" || this.profile.macReachesVf !== "reset") return;
    if (vf.pinned) vf.link.mac = vf.state.mac;
    this.#tellOwnMac(vf);
  }

  #reset(vf: Vf): void {
    vf.mailboxOpen = true;
    if (vf.pinned && this.profile.macReachesVf === "next reset") vf.link.mac = vf.state.mac;
    this.#tellOwnMac(vf);
  }

  /** The VF's driver tells the PF its MAC; what an administrator gave stays. */
  #tellOwnMac(vf: Vf): void {
    if (this.profile.showsOwnMac && !vf.pinned) vf.state = { ...vf.state, mac: vf.link.mac };
  }

  #isInReset = (vf: Vf): boolean => this.clock.nowMs() < vf.resetUntilMs;
  #isMaking = (): boolean => this.profile.busyWhileMaking !== undefined && this.clock.nowMs() < this.makingUntilMs;

  #refuse({ errno, blockMs = 0 }: Refusal): never {
    this.clock.block(blockMs);
    throw new Errno(errno);
  }

  #note(what: string, act: () => void): void {
    try {
      act();
      this.seen.push(what);
    } catch (error) {
      this.seen.push(`${what}: ${(error as Errno).code}`);
      throw error;
    }
  }
}

const KEYS: Record<Op, readonly string[]> = {
  mac: [],
  vlan: ["vlan", "qos", "proto"],
  rate: ["minTxRate", "maxTxRate"],
  spoofchk: ["spoofchk"],
  linkState: ["linkState"],
  trust: ["trust"],
};

/** EUI-64 of a MAC as mlx5 writes it, without the flipped bit: also of none. */
export function guidOf(mac: string): string {
  const b = mac.split(":");
  return `${b[0]}${b[1]}:${b[2]}ff:fe${b[3]}:${b[4]}${b[5]}`;
}
