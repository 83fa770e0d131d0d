import { ARPHRD_ETHER } from "../../kernel/link.ts";
import { hasRepresentors, linkTypeOf } from "../../kernel/sysfs.ts";
import { type RailFiles, readListed } from "../rail-network/file.ts";
import { AdminMacs, type MacHost } from "./admin-mac.ts";
import type { Altnames } from "./altname.ts";
import type { Rail } from "./config.ts";
import type { CarryOut } from "./orders.ts";
import { listPfFacts, nameOf, type PfSelection, type RailHere, selectPfs, unknownNames } from "./select.ts";
import type { RailSets } from "./sets.ts";
import { awaitLinks, ensureVfs, type VfHost } from "./vfs.ts";

export interface KeeperHost extends VfHost, MacHost {
  readonly railFiles: RailFiles;
  readonly carryOut: CarryOut;
  readonly altnames: Altnames;
  /** Called with the rails that are here, before anything is done to them. */
  readonly onHere?: (here: readonly RailHere[]) => void;
}

/** The result of the last look. */
export interface RailsSeen extends PfSelection {
  /** Why the list cannot be used, so that the last good one stays; empty if it can. */
  readonly unusable: string;
  /** Names of the RailNetworks that the list comes from; none: the ConfigMap. */
  readonly networks: readonly string[];
}

/** What the kernel refused is tried again after this time, or at once if something else is wanted. */
const RETRY_MS = 60_000;

/** A look ends after this time by default, whatever a PF is still doing: firmware takes seconds per VF, or is stuck. */
const LOOK_MS = 60_000;

/** Keeps the PFs of a node as the list of rails wants them: each look starts afresh. */
export class RailKeeper {
  readonly #host: KeeperHost;
  #rails: readonly Rail[] = [];
  #here: readonly RailHere[] = [];
  #absent: RailsSeen["absent"] = [];
  #unusable = "";
  #networks: readonly string[] = [];
  #sets: RailSets | undefined;
  #clashing: RailsSeen["absent"] = [];
  /** What was last reported about a subject, so that it is reported once. */
  readonly #said = new Map<string, string>();
  /** PFs that are being worked on, by PCI address. */
  readonly #busy = new Map<string, Promise<void>>();
  readonly #macs: AdminMacs;
  readonly #refused = new Map<string, { readonly wanted: unknown; readonly atMs: number }>();

  constructor(host: KeeperHost) {
    this.#host = host;
    this.#macs = new AdminMacs(host);
  }

  get here(): readonly RailHere[] {
    return this.#here;
  }

  /** VFs of several rails that are offered together. */
  get sets(): RailSets | undefined {
    return this.#sets;
  }

  /** As of the last look. */
  get seen(): RailsSeen {
    return { here: this.#here, absent: this.#absent, unusable: this.#unusable, networks: this.#networks };
  }

  /** @param patienceMs ends after this time, whatever a PF is still doing. */
  async look(patienceMs = LOOK_MS): Promise<void> {
    this.#read();
    const { sysfs, altnames } = this.#host;
    await altnames.learn(unknownNames(this.#rails, listPfFacts(sysfs)));
    const selection = selectPfs(this.#rails, listPfFacts(sysfs), altnames.nameOf);
    const { here } = selection;
    const absent = [...this.#clashing, ...selection.absent];
    for (const { rail, pf } of here)
      this.#say("info", rail.name, "rail is on this node", { rail: rail.name, pf: pf.name, pci: pf.pci });
    for (const { rail, why } of absent) this.#say("info", rail, "rail is not on this node", { rail, why });
    [this.#here, this.#absent] = [here, absent];
    await this.#try("the list of governed rails", "written", async () => this.#host.onHere?.(here));
    const mode = here.find(({ rail }) => rail.rdma)?.rail.rdma;
    if (mode) await this.#try("the RDMA namespace mode", mode, () => this.#setRdmaMode(mode));
    for (const one of firstOfEachPf(here)) if (!this.#busy.has(one.pf.pci)) this.#startPf(one);
    await this.#settled(patienceMs);
  }

  /** PFs are set up in parallel: one that is stuck delays no other, now or at the next look. */
  #startPf(one: RailHere): void {
    const { pci } = one.pf;
    const work = this.#keepPf(one).finally(() => this.#busy.delete(pci));
    this.#busy.set(pci, work);
  }

  async #keepPf(one: RailHere): Promise<void> {
    if (!this.#isUsable(one)) return;
    await this.#try(one.pf.pci, one.rail.vfs, () => this.#makeVfs(one));
    await this.#try(`the VFs' MACs of ${one.pf.pci}`, "set", () => this.#giveMacs(one));
  }

  async #settled(patienceMs: number): Promise<void> {
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, patienceMs);
    await Promise.race([Promise.all(this.#busy.values()), late]);
    clearTimeout(timer);
  }

  /** @returns false for a PF that cannot be a rail, which is reported. */
  #isUsable({ rail, pf }: RailHere): boolean {
    const { sysfs } = this.#host;
    const about = `the kind of ${pf.pci}`;
    const type = pf.name === undefined ? undefined : linkTypeOf(sysfs, pf.name);
    const why =
      type !== undefined && type !== ARPHRD_ETHER
        ? `its link is not Ethernet (type ${type}): set the port's link type (mlxconfig LINK_TYPE)`
        : hasRepresentors(sysfs, pf.pci)
          ? `it is in switchdev mode, and representors are not supported: devlink dev eswitch set pci/${pf.pci} mode legacy`
          : undefined;
    if (why) this.#say("warn", about, "a PF cannot be a rail", { rail: rail.name, pf: nameOf(pf), why });
    else this.#said.delete(about);
    return !why;
  }

  async #giveMacs({ rail, pf }: RailHere): Promise<void> {
    const left = await this.#macs.give(pf);
    const about = `MACs of ${pf.pci}`;
    if (left.length === 0) return void this.#said.delete(about);
    const why = left.join("; ");
    this.#say("warn", about, "VFs wait for an administrator's MAC", { rail: rail.name, pf: nameOf(pf), why });
  }

  /** A list that cannot be used changes nothing: the last good one stays. */
  #read(): void {
    const { railFiles } = this.#host;
    const { config: file } = railFiles;
    try {
      const { rails, networks, refused, sets } = readListed(railFiles);
      [this.#rails, this.#networks, this.#clashing, this.#sets] = [rails, networks, refused, sets];
      this.#said.delete(file);
      this.#unusable = "";
    } catch (error) {
      const why = (error as Error).message;
      this.#unusable = why;
      this.#say("warn", file, "the list of rails is invalid: keeping the last good one", { file, why });
    }
  }

  async #setRdmaMode(mode: NonNullable<Rail["rdma"]>): Promise<void> {
    const { carryOut, log } = this.#host;
    if (await carryOut({ do: "set-rdma-mode", mode })) log.info({ mode }, "RDMA namespace mode set");
  }

  async #makeVfs(one: RailHere): Promise<void> {
    const { rail, pf } = one;
    const about = { rail: rail.name, pf: pf.name, pci: pf.pci, vfs: rail.vfs };
    const plan = await ensureVfs(one, this.#host);
    if (plan.kind === "wait" || plan.kind === "refuse")
      return this.#say("warn", pf.pci, "leaving the VFs of a PF as they are", { ...about, why: plan.why });
    this.#said.delete(pf.pci);
    if (plan.kind !== "write") return;
    this.#macs.forget(pf);
    const bare = await awaitLinks(pf, this.#host.sysfs);
    const why = `no driver made a link for ${bare.join(", ")}: load the one of these VFs`;
    if (bare.length > 0) this.#say("warn", pf.pci, "new VFs have no link", { ...about, why });
  }

  /** What was refused is not requested again and again. */
  async #try(what: string, wanted: unknown, work: () => Promise<void>): Promise<void> {
    const refused = this.#refused.get(what);
    if (refused && refused.wanted === wanted && this.#host.nowMs() - refused.atMs < RETRY_MS) return;
    try {
      await work();
      this.#refused.delete(what);
    } catch (error) {
      this.#refused.set(what, { wanted, atMs: this.#host.nowMs() });
      this.#say("warn", what, "a rail is not as configured", { what, wanted, why: (error as Error).message });
    }
  }

  #say(level: "info" | "warn", about: string, message: string, fields: object): void {
    const text = JSON.stringify([message, fields]);
    if (this.#said.get(about) === text) return;
    this.#said.set(about, text);
    this.#host.log[level](fields, message);
  }
}

/** Of rails that share a PF, one that says how many VFs it has: they agree on that. */
const firstOfEachPf = (here: readonly RailHere[]): RailHere[] =>
  [...Map.groupBy(here, ({ pf }) => pf.pci).values()].map((some) => some.find(({ rail }) => rail.vfs > 0) ?? some[0]!);
