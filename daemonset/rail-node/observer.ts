import { release } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Debts } from "../../cni/attachment/debts.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import type { Paths } from "../../cni/host.ts";
import { listGpus } from "../../kernel/pcie.ts";
import type { RdmaNetnsMode } from "../../kernel/rdma.ts";
import { vfsOf } from "../../kernel/sysfs.ts";
import type { Note } from "../notes.ts";
import type { RailsSeen } from "../rails/keeper.ts";
import type { CarryOut } from "../rails/orders.ts";
import type { RailHere } from "../rails/select.ts";
import { VERSION } from "../version.ts";
import { type Readiness, railsReady } from "./conditions.ts";
import type { KernelFacts } from "./kernel-facts.ts";
import type { NodeFacts, RailNodeStatus } from "./object.ts";
import { type RailFacts, railFacts, railUse } from "./rail-report.ts";
import { MultusVersion } from "./versions.ts";

export interface ObserverOptions {
  readonly paths: Paths;
  /** As the keeper of the rails last saw them. */
  readonly rails: () => RailsSeen;
  readonly carryOut: CarryOut;
  /** What the reconciler did, newest last. */
  readonly repairs: () => readonly Note[];
  /** Whether most nodes that have a rail are reached by it; undefined where that is not known, or no matter. */
  readonly isReaching?: (rail: string) => boolean | undefined;
  readonly nowMs: () => number;
  /** A PF that does not answer for this long is reported as it was. Default 5 s. */
  readonly patienceMs?: number;
}

/** A report without the parts that only the writer knows. */
export interface Observation extends Omit<RailNodeStatus, "conditions"> {
  readonly ready: ReturnType<typeof railsReady>;
}

/** Facts are read again after this time, or when a rail, or its carrier, has changed. */
const FACTS_MS = 600_000;
const PATIENCE_MS = 5_000;
const MAX_REPAIRS = 5;
const MESSAGE_MAX = 400;
/** The definition refuses a report with a longer one. */
const WHY_MAX = 1000;

/** Examines this node for its report: some dozen small files per look, the kernel occasionally. */
export class Observer {
  readonly #options: ObserverOptions;
  readonly #journal: Journal;
  readonly #debts: Debts;
  readonly #multus: MultusVersion;
  /** By PCI address: the kernel's last answer, and whether it is being asked. */
  readonly #kernel = new Map<string, KernelFacts>();
  readonly #asking = new Set<string>();
  #facts: readonly RailFacts[] = [];
  #mode: RdmaNetnsMode | undefined;
  #multusIs: string | undefined;
  /** The kernel has answered something that is not in the facts yet. */
  #isLate = false;
  #readOf = "";
  #readMs = Number.NEGATIVE_INFINITY;

  constructor(options: ObserverOptions) {
    this.#options = options;
    const { stateDir, hostRoot } = options.paths;
    this.#journal = new Journal(stateDir);
    this.#debts = new Debts(stateDir);
    this.#multus = new MultusVersion(hostRoot);
  }

  /** @param runtime from the Node object. Never waits for a PF for more than 5 s. */
  async look(runtime: Pick<NodeFacts, "containerd" | "kubelet">): Promise<Observation> {
    const { paths, rails: seen } = this.#options;
    const { here, absent, unusable, networks } = seen();
    const onRecord = { used: this.#journal.devices(), owed: this.#debts.devices() };
    const uses = here.map((one) => railUse(one, onRecord, paths.sysfs));
    const sign = JSON.stringify(
      here.map(({ rail, pf }, i) => [rail.name, pf.pci, pf.name, uses[i]!.carrier, uses[i]!.vfs]),
    );
    await this.#readFacts(here, sign);
    const rails = here.map(({ rail }, i) => {
      const reaching = this.#options.isReaching?.(rail.name);
      return { ...this.#facts[i]!, ...uses[i]!, ...(reaching !== undefined && { reaching }) };
    });
    const counts = here.map(({ rail, pf }) => ({
      rail: rail.name,
      has: vfsOf(paths.sysfs, pf.pci).length,
      shall: rail.vfs,
    }));
    const mtus = new Map(here.flatMap(({ rail: { name, mtu } }) => (mtu === undefined ? [] : [[name, mtu] as const])));
    const readiness: Readiness = { rails, absent, unusable, networks, counts, mtus };
    return {
      node: {
        kernel: release(),
        agent: VERSION,
        ...(this.#mode && { rdmaMode: this.#mode }),
        ...runtime,
        ...(this.#multusIs && { multus: this.#multusIs }),
      },
      networks,
      rails,
      absent: absent.map(({ rail, why }) => ({ rail, why: why.slice(0, WHY_MAX) })),
      summary: {
        rails: `${rails.filter(({ carrier }) => carrier).length}/${here.length + absent.length}`,
        vfs: `${sum(uses, "used")}/${sum(uses, "vfs")}`,
      },
      repairs: this.#options
        .repairs()
        .slice(-MAX_REPAIRS)
        .map(({ at, what, about, message }) => ({
          at,
          what,
          message: `${about}: ${message}`.slice(0, MESSAGE_MAX),
        })),
      ready: railsReady(readiness),
    };
  }

  async #readFacts(here: readonly RailHere[], sign: string): Promise<void> {
    const { paths, nowMs, patienceMs = PATIENCE_MS } = this.#options;
    const isRead = sign === this.#readOf && nowMs() - this.#readMs < FACTS_MS;
    if (isRead && !this.#isLate) return;
    [this.#readOf, this.#readMs] = [sign, nowMs()];
    const asked = here.map(({ pf }) => this.#askKernel(pf));
    await Promise.race([Promise.all([...asked, this.#askMode()]), sleep(patienceMs, undefined, { ref: false })]);
    this.#isLate = false;
    const gpus = listGpus(paths.sysfs);
    this.#facts = here.map((one) => railFacts(one, this.#kernel.get(one.pf.pci) ?? {}, paths.sysfs, gpus));
    this.#multusIs = await this.#multus.read();
  }

  async #askMode(): Promise<void> {
    try {
      this.#mode = (await this.#options.carryOut({ do: "read-rdma-mode" })) ?? undefined;
    } catch {
      // the last known values stay
    }
  }

  /** Rails that share a PF ask once. */
  async #askKernel({ pci, name }: RailHere["pf"]): Promise<void> {
    if (name === undefined || this.#asking.has(pci)) return;
    this.#asking.add(pci);
    try {
      const before = this.#kernel.get(pci);
      const now = await this.#options.carryOut({ do: "read-facts", pf: pci, netdev: name });
      this.#kernel.set(pci, now);
      if (!isDeepStrictEqual(before, now)) this.#isLate = true;
    } catch {
      // the last known values stay
    } finally {
      this.#asking.delete(pci);
    }
  }
}

const sum = <K extends string>(all: readonly Readonly<Record<K, number>>[], key: K): number =>
  all.reduce((total, one) => total + one[key], 0);
