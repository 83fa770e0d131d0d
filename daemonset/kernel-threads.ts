import type { FenceOrder, FenceOutcome } from "../cni/attachment/fence.ts";
import { Journal } from "../cni/attachment/journal.ts";
import type { Log } from "../cni/host.ts";
import { failure } from "../cni/protocol/dispatch.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import { listPfs, pfPciOf } from "../kernel/sysfs.ts";
import { attachmentKey } from "../records/record-files.ts";
import { factsOf } from "./calls/facts.ts";
import type { HostUses, KernelThread } from "./kernel-thread.ts";
import type { LogLevel } from "./log-level.ts";
import type { CarryOut } from "./rails/orders.ts";
import type { Repair } from "./reconcile/plan.ts";
import type { Scope } from "./reconcile/scope.ts";

export interface KernelThreadsOptions {
  readonly sysfs: string;
  readonly stateDir: string;
  /** Starts a thread. */
  readonly open: () => KernelThread;
  readonly log: Log;
  /** A run of the reconciler ends after this time; what a thread finds later is reported with the next one. */
  readonly patienceMs?: number;
}

const PATIENCE_MS = 20_000;
/** Firmware takes seconds; a thread that is silent for longer waits for something that is stuck. */
const SILENT_MS = 30_000;

/**
 * A thread for each PF that has VFs, or is created when the first of them is requested, and one for everything else: a NIC
 * whose firmware takes a minute for a command, or never answers, delays no other rail.
 */
export class KernelThreads {
  readonly #options: KernelThreadsOptions;
  readonly #common: KernelThread;
  readonly #ofPf = new Map<string, KernelThread>();
  /** For sets of VFs of several PFs: one that is stuck stops them, and nothing else. */
  #ofSets: KernelThread | undefined;
  /** Threads that have not finished their last run of the reconciler. */
  readonly #reconciling = new Set<KernelThread>();
  /** Where ADDs run, so that a DEL of the same attachment, whatever it names, reaches the thread of the ADD that it ends. */
  readonly #adding = new Map<string, KernelThread>();
  #late: Repair[] = [];
  #level: LogLevel | undefined;

  constructor(options: KernelThreadsOptions) {
    this.#options = options;
    this.#common = options.open();
    for (const { pci } of listPfs(options.sysfs).filter(({ numVfs }) => numVfs > 0)) this.#open(pci); // no pod waits for it
  }

  /** @throws {Error} only for a defect of the thread; a verb's error is in the response. */
  async request(request: CniRequest, signal: AbortSignal): Promise<CniResponse> {
    const { pci, verb, containerID, ifname } = factsOf(request);
    if (verb === "GC") return this.#collect(request, signal);
    const key = attachmentKey(containerID, ifname);
    const adding = this.#adding.get(key);
    const recorded = verb === "ADD" || isSet(pci) ? undefined : this.#recorded(containerID, ifname);
    if (verb !== "ADD") return (adding ?? this.#threadOf(recorded ?? pci)).request(request, signal);
    const thread = adding ?? this.#threadOf(pci);
    this.#adding.set(key, thread);
    try {
      return await thread.request(request, signal);
    } finally {
      this.#adding.delete(key);
    }
  }

  /** A DEL may name no VF, or another one than its ADD. */
  #recorded(containerId: string, ifname: string): string | undefined {
    if (containerId === "") return undefined;
    return new Journal(this.#options.stateDir).deviceOf(containerId, ifname);
  }

  /** Every thread ends its own attachments. One that is stuck is waited for only so long; the others have done their part. */
  async #collect(request: CniRequest, signal: AbortSignal): Promise<CniResponse> {
    const pfs = [...this.#ofPf.keys()];
    const runs = [...this.#ofPf].map(([pf, thread]) => this.#within(thread.request(request, signal, { pf }), pf));
    runs.push(this.#common.request(request, signal, { except: pfs }));
    const responses = await Promise.all(runs);
    const failed = responses.filter(({ exit }) => exit !== 0);
    return failed.length > 1 ? merged(failed) : (failed[0] ?? responses.at(-1)!);
  }

  async #within(collecting: Promise<CniResponse>, pf: string): Promise<CniResponse> {
    const late = Promise.withResolvers<CniResponse>();
    const why = `the kernel does not answer for PF ${pf}: its attachments are collected later`;
    const error = failure(new CniError(CODE.TRY_AGAIN_LATER, `cannot collect: ${why}`));
    const timer = setTimeout(() => late.resolve(error), this.#options.patienceMs ?? PATIENCE_MS);
    return Promise.race([collecting, late.promise]).finally(() => clearTimeout(timer));
  }

  /** Every thread repairs its own attachments. One that is stuck is not waited for, nor asked again meanwhile. */
  async reconcile(): Promise<readonly Repair[]> {
    const pfs = [...this.#ofPf.keys()];
    const runs = [...this.#ofPf].map(([pf, thread]) => this.#reconcileOne(thread, { pf }));
    runs.push(this.#reconcileOne(this.#common, { except: pfs }));
    const { promise: late, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, this.#options.patienceMs ?? PATIENCE_MS);
    try {
      await Promise.race([Promise.all(runs), late]);
    } finally {
      clearTimeout(timer);
    }
    this.#nameStuck();
    return this.#late.splice(0);
  }

  /** Those of these VFs that the host uses: links, addresses and routes only, so that no firmware is asked. */
  hostUses(vfs: readonly string[]): Promise<HostUses> {
    return this.#common.hostUses(vfs);
  }

  /** In the thread of the VF's PF: one that is stuck keeps no other VF from being fenced. */
  fence(pci: string, order: FenceOrder): Promise<FenceOutcome> {
    return this.#threadOf(pci).fence(order);
  }

  /** In the thread of its PF, which is created for a PF that gets its VFs now; otherwise in the common one. */
  readonly carryOut: CarryOut = (order) => {
    const pf = "pf" in order ? order.pf : undefined;
    return (pf === undefined ? this.#common : (this.#ofPf.get(pf) ?? this.#open(pf))).rail(order);
  };

  /** Of the common thread: a PF that is stuck does not make the agent unhealthy, since another agent could do no more. */
  silentMs(): number {
    return this.#common.silentMs();
  }

  setLogLevel(level: LogLevel): void {
    this.#level = level;
    for (const thread of this.#all()) thread.setLogLevel(level);
  }

  terminate(): void {
    for (const thread of this.#all()) thread.terminate();
  }

  #all = (): KernelThread[] => [this.#common, ...this.#ofPf.values(), ...(this.#ofSets ? [this.#ofSets] : [])];

  /** A call that names no VF of this node goes to the common thread, and is refused there. */
  #threadOf(pci: string): KernelThread {
    if (isSet(pci)) return this.#threadOfSets();
    const pf = pci === "" ? undefined : pfPciOf(this.#options.sysfs, pci);
    if (pf === undefined) return this.#common;
    return this.#ofPf.get(pf) ?? this.#open(pf);
  }

  #threadOfSets(): KernelThread {
    this.#ofSets ??= this.#openThread();
    return this.#ofSets;
  }

  #open(pf: string): KernelThread {
    const thread = this.#openThread();
    this.#ofPf.set(pf, thread);
    return thread;
  }

  #openThread(): KernelThread {
    const thread = this.#options.open();
    if (this.#level) thread.setLogLevel(this.#level);
    return thread;
  }

  async #reconcileOne(thread: KernelThread, scope: Scope): Promise<void> {
    if (this.#reconciling.has(thread)) return;
    this.#reconciling.add(thread);
    try {
      this.#late.push(...(await thread.reconcile(scope)));
    } finally {
      this.#reconciling.delete(thread);
    }
  }

  #nameStuck(): void {
    for (const [pf, thread] of this.#ofPf) {
      const silentMs = Math.round(thread.silentMs());
      if (silentMs > SILENT_MS)
        this.#options.log.warn(
          { pf, silentMs },
          "the kernel does not answer for a PF: firmware or driver is stuck (dmesg)",
        );
    }
  }
}

/** Names VFs of several PFs. */
const isSet = (pci: string): boolean => pci.includes(",");

/** The failures of several threads, as one answer: the code is that of the first. */
function merged(failed: readonly CniResponse[]): CniResponse {
  const errors = failed.map(({ stdout }) => JSON.parse(stdout) as { readonly msg: string });
  return { ...failed[0]!, stdout: JSON.stringify({ ...errors[0], msg: errors.map(({ msg }) => msg).join("; ") }) };
}
