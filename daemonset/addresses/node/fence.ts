import { setTimeout as sleep } from "node:timers/promises";
import { Journal } from "../../../cni/attachment/journal.ts";
import type { Attachment } from "../../../cni/attachment/record.ts";
import type { Log } from "../../../cni/host.ts";
import { ClaimJournal, type ClaimRecord } from "../../../ipam/journal.ts";
import type { Store } from "../../../ipam/store/store.ts";
import { PODS } from "../../../kubernetes/cluster.ts";
import type { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { attachmentKey } from "../../../records/record-files.ts";
import type { KernelThreads } from "../../kernel-threads.ts";
import { pause, repeat } from "../../loop.ts";
import type { Counters } from "../counters.ts";
import { inParallel } from "../parallel.ts";
import type { Heartbeat } from "./heartbeat.ts";
import { type Circumstances, type Fenceable, isLapsed, isLate, planFence } from "./plan-fence.ts";
import { type Lost, lostOf } from "./still-own.ts";

const LOOK_MS = 10_000;
/** A report, or an answer of a PF, that takes longer is not waited for: the next look sees how it ended. */
const WAIT_MS = 10_000;

/** The cluster that this node reports to, and that has its addresses. */
export interface FenceCluster {
  readonly store: Store;
  /** Reports, which renews the node's standing. @throws {ApiError} */
  report(signal: AbortSignal): Promise<void>;
}

export interface FenceOptions {
  readonly heartbeat: Heartbeat;
  readonly stateDir: string;
  readonly bootId: string;
  /** The leader's, {@link patienceMs}. */
  readonly patienceMs: number;
  /** According to the cluster's present settings. */
  isOn(): boolean;
  /** Undefined until it has been reached. */
  cluster(): FenceCluster | undefined;
  readonly threads: Pick<KernelThreads, "fence">;
  readonly recorder: Pick<EventRecorder, "record">;
  readonly counters: Counters;
  readonly log: Log;
}

interface Fenced extends Fenceable {
  readonly attachment: Attachment;
  readonly claim: ClaimRecord | undefined;
}

/**
 * A fence by lease. What a node holds is given to others when nobody has heard from it for the leader's patience; a node
 * that cannot report takes down the VFs with such addresses itself before that. When it is heard again, those come back
 * whose addresses are still their own.
 */
export class Fence {
  readonly #options: FenceOptions;
  readonly #attachments: Journal;
  readonly #claims: ClaimJournal;
  /** Attachments for which a thread has not answered yet. */
  readonly #running = new Set<string>();
  /** Those whose address belongs to another: reported once. */
  readonly #lost = new Set<string>();
  /** Nothing is on record as fenced: then a look that has nothing to fence reads no record. */
  #isIdle = false;

  constructor(options: FenceOptions) {
    this.#options = options;
    this.#attachments = new Journal(options.stateDir);
    this.#claims = new ClaimJournal(options.stateDir);
  }

  /** One look at the node's heartbeat, and what follows from it. Never rejects for a single attachment. */
  async look(signal: AbortSignal): Promise<void> {
    const { heartbeat, patienceMs } = this.#options;
    const isOn = this.#options.isOn();
    if (isOn && isLate(heartbeat.silentMs, patienceMs)) await this.#report(signal);
    const now = { isOn, silentMs: heartbeat.silentMs, patienceMs };
    if (this.#isIdle && !isLapsed(now)) return;
    const { fence, lift } = planFence(this.#observe(), now);
    await inParallel(fence, (one) => this.#each(one, () => this.#fence(one, now)));
    await inParallel(lift, (one) => this.#each(one, () => this.#lift(one, signal)));
    const left = this.#observe().filter(({ isFenced }) => isFenced).length;
    this.#options.counters.fenced = left;
    this.#isIdle = left === 0;
  }

  async #report(signal: AbortSignal): Promise<void> {
    const { log, heartbeat } = this.#options;
    try {
      await this.#options.cluster()?.report(AbortSignal.any([signal, AbortSignal.timeout(WAIT_MS)]));
    } catch (err) {
      const silentSeconds = Math.round(heartbeat.silentMs / 1000);
      log.warn({ err, silentSeconds }, "this node cannot report; retrying");
    }
  }

  #observe(): Fenced[] {
    return this.#attachments.all().flatMap((attachment): Fenced[] => {
      const { phase, bootId, containerId, ifname, fenced } = attachment;
      if (phase !== "attached" || bootId !== this.#options.bootId) return [];
      const claim = this.#claims.find(containerId, ifname);
      const isOfCluster = claim?.phase === "held" && claim.storage.kind === "kubernetes" && claim.addresses.length > 0;
      return [{ attachment, claim, isOfCluster, isFenced: Boolean(fenced) }];
    });
  }

  async #each({ attachment }: Fenced, act: () => Promise<void>): Promise<void> {
    const { containerId, ifname } = attachment;
    const key = attachmentKey(containerId, ifname);
    if (this.#running.has(key)) return;
    this.#running.add(key);
    const work = act()
      .catch((err) => this.#options.log.warn({ ...whoOf(attachment), err }, "cannot apply the fence; retrying"))
      .finally(() => this.#running.delete(key));
    await Promise.race([work, sleep(WAIT_MS, undefined, { ref: false })]);
  }

  async #fence({ attachment, claim, isFenced }: Fenced, { silentMs }: Circumstances): Promise<void> {
    const { threads, log, counters } = this.#options;
    const { containerId, ifname, device } = attachment;
    const outcome = await threads.fence(device.pci, { containerId, ifname, to: "fenced" });
    if (outcome !== "done" || isFenced) return;
    const silentSeconds = Math.round(silentMs / 1000);
    counters.fences++;
    log.warn(
      { ...whoOf(attachment), silentSeconds },
      "VF taken down: this node cannot report, and its addresses may be given to others",
    );
    this.#tell(
      claim,
      "Warning",
      "RailFenced",
      `${ifname} is down: its node could not report for ${silentSeconds} s, so its addresses may be given to other pods`,
    );
  }

  async #lift({ attachment, claim }: Fenced, signal: AbortSignal): Promise<void> {
    const { threads, log } = this.#options;
    const { containerId, ifname, device } = attachment;
    const cluster = this.#options.cluster();
    if (claim?.phase !== "held" || !cluster) return; // its DEL does the rest, or nobody can be asked
    const lost = await lostOf(claim, cluster.store, this.#claims, signal);
    if (lost) {
      this.#sayLost(claim, attachment, lost);
      await threads.fence(device.pci, { containerId, ifname, to: "fenced" }); // whatever its pod has done since
      return;
    }
    if ((await threads.fence(device.pci, { containerId, ifname, to: "lifted" })) !== "done") return;
    this.#lost.delete(attachmentKey(containerId, ifname));
    log.info(whoOf(attachment), "VF is up again: its addresses are still its pod's");
    this.#tell(
      claim,
      "Normal",
      "RailUnfenced",
      `${ifname} is up again: its node can report, and its addresses are still its pod's`,
    );
  }

  #sayLost(claim: ClaimRecord, attachment: Attachment, { ip, pool, holder }: Lost): void {
    const key = attachmentKey(attachment.containerId, attachment.ifname);
    if (this.#lost.has(key)) return;
    this.#lost.add(key);
    this.#options.log.warn(
      { ...whoOf(attachment), ip, pool, holder },
      "VF stays down: its address was given to another pod",
    );
    const to = `${holder.podref}${holder.ifname && ` (${holder.ifname})`}`;
    this.#tell(
      claim,
      "Warning",
      "FencedAddressTaken",
      `${attachment.ifname} stays down: ${ip} now belongs to ${to}; delete this pod`,
    );
  }

  #tell(claim: ClaimRecord | undefined, type: "Normal" | "Warning", reason: string, message: string): void {
    const [namespace = "", name = ""] = claim?.owner.podref.split("/") ?? [];
    const { podUid: uid } = claim?.owner ?? {};
    const about = { resource: PODS, namespace, name, ...(uid && { uid }) };
    if (name) this.#options.recorder.record({ about, type, reason, message });
  }
}

const whoOf = ({ device, pod, containerId: containerID, ifname }: Attachment) => ({
  pci: device.pci,
  ...(pod && { pod }),
  containerID,
  ifname,
});

/**
 * Looks every 10 s until `signal`, even with the fence off: what is down comes back. An agent that starts reports before
 * the first look.
 */
export async function keepFenced(options: FenceOptions, signal: AbortSignal): Promise<void> {
  const fence = new Fence(options);
  await pause(LOOK_MS, signal);
  await repeat("fence", { everyMs: LOOK_MS, signal, log: options.log }, () => fence.look(signal));
}
