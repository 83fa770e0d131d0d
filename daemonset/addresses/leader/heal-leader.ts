import type { ClusterAddresses } from "../context.ts";
import { readPod, uidOf } from "../evidence.ts";
import { claimOf } from "../free.ts";
import { heal } from "../heal.ts";
import type { Reserved } from "../reserved.ts";
import type { NodeState } from "./nodes.ts";

interface Lost {
  readonly reserved: Reserved;
  readonly sinceMs: number;
}

/** Limit on reservations that vanish while their node is down; beyond it the oldest is dropped: its node restores it itself. */
const MAX_LOST = 1000;

/**
 * Restores reservations whose owner cannot, because its node is down: if the pod runs and is not terminating, after
 * `graceMs`, in which the node may come back.
 */
export class LeaderHeal {
  readonly #context: ClusterAddresses;
  readonly #stateOf: (node: string) => NodeState;
  readonly #graceMs: number;
  readonly #lost = new Map<string, Lost>();

  constructor(context: ClusterAddresses, stateOf: (node: string) => NodeState, graceMs: number) {
    this.#context = context;
    this.#stateOf = stateOf;
    this.#graceMs = graceMs;
  }

  onDeleted(reserved: Reserved): void {
    if (!reserved.node || !reserved.podUid || this.#stateOf(reserved.node) !== "down") return;
    if (this.#lost.size >= MAX_LOST) this.#lost.delete(this.#lost.keys().next().value!);
    this.#lost.set(reserved.metadata.name, { reserved, sinceMs: performance.now() });
  }

  /** @throws {ApiError | StoreError} */
  async look(signal: AbortSignal): Promise<void> {
    for (const [name, { reserved, sinceMs }] of this.#lost) {
      if (this.#stateOf(reserved.node) === "ready") this.#lost.delete(name);
      if (performance.now() - sinceMs < this.#graceMs || !this.#lost.has(name)) continue;
      await this.#putBack(reserved, signal);
      this.#lost.delete(name);
    }
  }

  async #putBack(reserved: Reserved, signal: AbortSignal): Promise<void> {
    const claim = claimOf(reserved);
    const pod = claim && (await readPod(this.#context.cluster, reserved.podref, signal));
    const isSame = pod && uidOf(pod) === reserved.podUid && !pod.metadata.deletionTimestamp;
    if (!claim || !isSame || pod.status?.phase !== "Running") return;
    await heal(claim, () => this.#stateOf(reserved.node) !== "ready", this.#context, signal);
  }
}
