import type { Step } from "../../../../cni/steps.ts";
import { ifnameOf, type Wanted } from "../support/attachment.ts";
import type { Vf } from "../support/node.ts";

/** One attachment that a runtime has asked for and not yet ended. */
interface Known {
  readonly wanted: Wanted;
  /** ADD finished, and its VF has not gone home since: nobody else may have it while its pod lives. */
  readonly isAttached: boolean;
  /** What ADD answered; undefined when it was killed at the last moment. */
  readonly result?: object;
}

const keyOf = (wanted: Pick<Wanted, "pod" | "ifname">) => `${wanted.pod}/${ifnameOf(wanted as Wanted)}`;

/** What must be true of a node after what was done to it: as simple as can be, knowing nothing of how it is done. */
export class Model {
  readonly #pods = new Set<string>();
  readonly #known = new Map<string, Known>();

  beginPod(pod: string): void {
    this.#pods.add(pod);
  }

  /** Its VFs fall back; its attachments stay to be ended. */
  endPod(pod: string): void {
    this.#pods.delete(pod);
  }

  get pods(): string[] {
    return [...this.#pods];
  }

  get known(): Wanted[] {
    return [...this.#known.values()].map(({ wanted }) => wanted);
  }

  /** 0, or the code that ADD must answer with. */
  expectAdd(wanted: Wanted): number {
    if (!this.#pods.has(wanted.pod)) return 8;
    const rivals = [...this.#known.values()].filter(
      (k) => keyOf(k.wanted) === keyOf(wanted) || k.wanted.vf === wanted.vf,
    );
    return rivals.some((k) => this.#isAlive(k)) ? 102 : 0;
  }

  /** What is known of an attachment; undefined when CHECK and nobody else may know of it. */
  find(wanted: Wanted): { readonly wanted: Wanted; readonly result?: object; readonly isAlive: boolean } | undefined {
    const known = this.#known.get(keyOf(wanted));
    return known && { ...known, isAlive: this.#isAlive(known) };
  }

  added(wanted: Wanted, result?: object): void {
    this.#takeVf(wanted.vf);
    this.#known.set(keyOf(wanted), { wanted, isAttached: true, ...(result && { result }) });
  }

  /** Killed, or failed without an answer that counts. @param step the last that was done. */
  addDied(wanted: Wanted, step: Step): void {
    this.#takeVf(wanted.vf);
    this.#known.set(keyOf(wanted), { wanted, isAttached: step === "add-committed" });
  }

  addFailed({ vf }: Wanted): void {
    this.#takeVf(vf);
  }

  deleted(wanted: Wanted): void {
    this.#known.delete(keyOf(wanted));
  }

  /** From its first change on, an attachment that a DEL began to end is nobody's. @param step the last that was done. */
  delDied(wanted: Wanted, step: Step): void {
    const known = this.#known.get(keyOf(wanted));
    if (known && step !== "del-locked") this.#known.set(keyOf(wanted), { ...known, isAttached: false });
  }

  /** GC with a list of what is valid. */
  collected(valid: readonly Wanted[]): void {
    const keys = valid.map(keyOf);
    for (const key of this.#known.keys()) if (!keys.includes(key)) this.#known.delete(key);
  }

  /** Whether a VF must be as it was at rest: nobody has it, and no leftover of it waits to be put right. */
  isAtRest(vf: Vf): boolean {
    return ![...this.#known.values()].some(({ wanted }) => wanted.vf === vf);
  }

  #isAlive({ isAttached, wanted }: Known): boolean {
    return isAttached && this.#pods.has(wanted.pod);
  }

  /** Who had the VF has it no more; his own DEL is still to come. */
  #takeVf(vf: Vf): void {
    for (const [key, known] of this.#known)
      if (known.wanted.vf === vf) this.#known.set(key, { ...known, isAttached: false });
  }
}
