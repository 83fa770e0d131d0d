import { keyOf, type Obj } from "../api/objects.ts";
import type { World } from "./world.ts";

export const TEAM = "team";

/** As its kubelet runs it; a static pod's UID is a hash of its file. */
export const nodeOf = (pod: Obj): string => pod["spec"].nodeName;

/** What people and controllers do to pods. */
export class Pods {
  readonly #world: World;
  made = 0;

  constructor(world: World) {
    this.#world = world;
  }

  all(): Obj[] {
    return [...this.#world.server.etcd.all("pods").values()];
  }

  find(name: string): Obj | undefined {
    return this.#world.server.etcd.get("pods", `${TEAM}/${name}`);
  }

  make(name: string, node: string): void {
    const { server, simulation, machines, random } = this.#world;
    this.made++;
    const metadata = { namespace: TEAM, name, uid: random.uuid() };
    const pod = server.put("pods", { metadata, spec: { nodeName: node }, status: { phase: "Pending" } });
    simulation.note(`pod ${name} made on ${node}, UID ${pod.metadata.uid.slice(0, 8)}`);
    machines.get(node)!.kubelet.hear(pod);
  }

  /** Gracefully: its node ends it, then the object goes. */
  delete(pod: Obj): void {
    const { server, simulation, machines } = this.#world;
    if (pod.metadata.deletionTimestamp) return;
    simulation.note(`pod ${pod.metadata.name} deleted`);
    const metadata = { ...pod.metadata, deletionTimestamp: new Date().toISOString() };
    machines.get(nodeOf(pod))!.kubelet.hear(server.put("pods", { ...pod, metadata }));
  }

  /** `--force --grace-period=0`, or the pod GC of a deleted node: the object goes at once, and its node hears of it when it can. */
  deleteByForce(pod: Obj): void {
    const { server, simulation, machines } = this.#world;
    simulation.note(`pod ${pod.metadata.name} deleted by force`);
    server.remove("pods", keyOf(pod));
    machines.get(nodeOf(pod))!.kubelet.hearGone(pod.metadata.uid);
  }

  /** Its containers end by themselves. */
  finish(pod: Obj): void {
    const { server, machines } = this.#world;
    const { kubelet, isCut } = machines.get(nodeOf(pod))!;
    if (isCut || pod.metadata.deletionTimestamp) return; // its kubelet says so
    server.put("pods", { ...pod, status: { phase: "Succeeded" } });
    kubelet.hearGone(pod.metadata.uid);
  }
}
