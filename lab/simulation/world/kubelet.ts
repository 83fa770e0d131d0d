import { keyOf, type Obj } from "../api/objects.ts";
import { runAs } from "../core/actor.ts";
import { Line } from "../core/line.ts";
import type { Machine } from "./machine.ts";
import { isMirror, mirrorOf, nodeOf, TEAM, uidOf } from "./pods.ts";
import { type PodWork, SandboxWork } from "./sandbox-work.ts";

/** Between two looks at static pods and the objects that show them: `--sync-frequency`. */
const SYNC_MS = 60_000;

/** Runs the pods of its node: a sandbox each, made anew when it ends before its pod. */
export class Kubelet {
  readonly #machine: Machine;
  readonly #works = new Map<string, PodWork>();
  /** Pods that it has from files, by name. */
  readonly #statics = new Map<string, Obj>();
  /** Keys of those that the server does not let it show: by admission, or a quota. */
  readonly #refused = new Set<string>();
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
    for (const pod of this.#machine.world.pods.all())
      if (nodeOf(pod) === this.#machine.name && !isMirror(pod)) this.hear(pod);
    for (const pod of this.#statics.values()) this.#begin(pod);
    const { world, actor } = this.#machine;
    const sync = () => {
      this.#syncStatics();
      world.simulation.after(world.random.between(SYNC_MS / 2, SYNC_MS), sync, actor);
    };
    world.simulation.after(world.random.between(50, 1_000), sync, actor);
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

  hearObjectGone(pod: Obj): void {
    if (!isMirror(pod)) return void this.hearGone(pod.metadata.uid);
    if (this.#works.has(uidOf(pod))) this.#later(() => this.#syncStatics());
  }

  /** A file appears, or goes. */
  turnStatic(name: string): void {
    const { name: node, world, isOff } = this.#machine;
    const known = this.#statics.get(name);
    if (known) {
      this.#statics.delete(name);
      return void this.hearGone(known.metadata.uid);
    }
    const metadata = {
      namespace: TEAM,
      name: `${name}-${node}`,
      uid: world.random.hex(32),
      resourceVersion: "",
      creationTimestamp: "",
    };
    const pod: Obj = { metadata, spec: { nodeName: node }, status: { phase: "Pending" } };
    this.#statics.set(name, pod);
    if (world.random.chance(0.25)) this.#refused.add(keyOf(pod));
    else this.#refused.delete(keyOf(pod));
    if (!isOff) this.#begin(pod);
  }

  /** The machine was made anew. */
  forgetStatics(): void {
    this.#statics.clear();
  }

  /** Its sandbox died: it gets another one. */
  restartSandbox(pod: Obj): void {
    const work = this.#works.get(uidOf(pod));
    if (!work) return;
    this.#machine.world.simulation.note(`${this.#machine.name}: the sandbox of ${keyOf(pod)} starts again`);
    work.restarts = true;
    work.wake();
  }

  #later(run: () => void): void {
    this.#inbox.send(run, this.#machine.world.random.between(5, 300));
  }

  #begin(pod: Obj): void {
    const isStatic = [...this.#statics.values()].includes(pod);
    if (isStatic && this.#staticWork(keyOf(pod))) return; // it waits for the one of its name (pod_workers.go, allowStaticPodStart)
    const work: PodWork = { pod, isStatic, isOver: false, deletes: false, restarts: false, wake() {} };
    this.#works.set(pod.metadata.uid, work);
    if (isStatic) this.#later(() => this.#syncStatics());
    const done = () => {
      this.#works.delete(pod.metadata.uid);
      if (work.deletes) this.#removeObject(pod);
      if (isStatic) this.#staticEnded(keyOf(pod));
    };
    void runAs(this.#machine.actor, () => new SandboxWork(this.#machine, work).run().then(done));
  }

  #staticWork(key: string): PodWork | undefined {
    return [...this.#works.values()].find(({ isStatic, pod }) => isStatic && keyOf(pod) === key);
  }

  #staticEnded(key: string): void {
    const next = [...this.#statics.values()].find((pod) => keyOf(pod) === key);
    if (next) this.#begin(next);
    this.#syncStatics();
  }

  /**
   * Each static pod has an object that shows it, and one that shows no pod goes, whoever left it (kubelet.go, SyncPod();
   * kubelet_pods.go, HandlePodCleanups()). Without an API server a static pod runs all the same.
   */
  #syncStatics(): void {
    const { world, name, isCut } = this.#machine;
    if (isCut || world.network.isDown) return;
    const { server } = world;
    for (const pod of world.pods.all())
      if (isMirror(pod) && nodeOf(pod) === name && this.#staticWork(keyOf(pod))?.pod.metadata.uid !== uidOf(pod))
        server.remove("pods", keyOf(pod));
    if (!server.etcd.get("nodes", name)) return;
    for (const { pod, isStatic, isOver } of this.#works.values())
      if (isStatic && !isOver && !this.#refused.has(keyOf(pod)) && !server.etcd.get("pods", keyOf(pod)))
        server.put("pods", mirrorOf(pod));
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
