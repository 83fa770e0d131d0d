import { keyOf, type Obj } from "../api/objects.ts";
import { runAs } from "../core/actor.ts";
import { Line } from "../core/line.ts";
import type { Machine } from "./machine.ts";
import { nodeOf } from "./pods.ts";
import { type PodWork, SandboxWork } from "./sandbox-work.ts";

/** Runs the pods of its node: a sandbox each, made anew when it ends before its pod. */
export class Kubelet {
  readonly #machine: Machine;
  readonly #works = new Map<string, PodWork>();
  /** What it hears from the API server, in order. */
  readonly #inbox: Line<() => void>;

  constructor(machine: Machine) {
    this.#machine = machine;
    const isCut = () => machine.isCutIn;
    this.#inbox = new Line({ deliver: (run) => run(), isCut, actor: () => machine.actor });
  }

  /** It lists anew: what came while it was off is in there. */
  start(): void {
    this.#inbox.clear();
    for (const pod of this.#machine.world.pods.all()) if (nodeOf(pod) === this.#machine.name) this.hear(pod);
  }

  die(): void {
    for (const work of this.#works.values()) work.isOver = true;
    this.#works.clear();
    this.#inbox.clear();
  }

  connected(): void {
    this.#inbox.pump();
  }

  /** A pod that was bound to this node, or is to end gracefully. */
  hear(pod: Obj): void {
    this.#later(() => {
      const { uid, deletionTimestamp } = pod.metadata;
      const known = this.#works.get(uid);
      if (known && deletionTimestamp) return end(known, true);
      if (known) return;
      if (deletionTimestamp) this.#removeObject(pod);
      else if (pod["status"].phase !== "Succeeded") this.#begin(pod);
    });
  }

  /** A pod whose object is gone, or whose containers have ended. */
  hearGone(uid: string): void {
    this.#later(() => {
      const known = this.#works.get(uid);
      if (known) end(known, false);
    });
  }

  /** Its sandbox died: it gets another one. */
  restartSandbox(pod: Obj): void {
    const work = this.#works.get(pod.metadata.uid);
    if (!work) return;
    this.#machine.world.simulation.note(`${this.#machine.name}: the sandbox of ${keyOf(pod)} starts again`);
    work.restarts = true;
    work.wake();
  }

  #later(run: () => void): void {
    this.#inbox.send(run, this.#machine.world.random.between(5, 300));
  }

  #begin(pod: Obj): void {
    const work: PodWork = { pod, isOver: false, deletes: false, restarts: false, wake() {} };
    this.#works.set(pod.metadata.uid, work);
    const done = () => {
      this.#works.delete(pod.metadata.uid);
      if (work.deletes) this.#removeObject(pod);
    };
    void runAs(this.#machine.actor, () => new SandboxWork(this.#machine, work).run().then(done));
  }

  #removeObject(pod: Obj): void {
    const { isCut, world } = this.#machine;
    if (isCut) return void this.#later(() => this.#removeObject(pod));
    if (world.server.etcd.get("pods", keyOf(pod))?.metadata.uid === pod.metadata.uid)
      world.server.remove("pods", keyOf(pod));
  }
}

function end(work: PodWork, deletes: boolean): void {
  work.isOver = true;
  work.deletes ||= deletes;
  work.wake();
}
