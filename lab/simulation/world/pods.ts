import { keyOf, type Obj } from "../api/objects.ts";
import type { Living } from "./living.ts";
import type { World } from "./world.ts";

export const TEAM = "team";

/** On the object that shows a static pod: the UID by which its kubelet runs it. */
const MIRROR = "kubernetes.io/config.mirror";

/** By which its kubelet runs it. */
export const uidOf = ({ metadata: { uid, annotations } }: Obj): string => annotations?.[MIRROR] ?? uid;

/** The object that a kubelet makes of a pod that it has from a file. */
export const mirrorOf = ({ metadata: { name, namespace, uid }, spec, status }: Obj) => ({
  metadata: { name, ...(namespace && { namespace }), annotations: { [MIRROR]: uid, "kubernetes.io/config.hash": uid } },
  spec,
  status,
});

/** Its network configuration names Whereabouts. */
export const isForeign = ({ metadata }: Obj): boolean => metadata.name.startsWith("foreign-");

export const isMirror = ({ metadata }: Obj): boolean => metadata.annotations?.[MIRROR] !== undefined;

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

  /** Whatever it is, its sandbox ends. */
  endOf({ podref, podUid, node }: Living): void {
    const pod = this.#world.server.etcd.get("pods", podref);
    const { kubelet } = this.#world.machines.get(node)!;
    if (!pod || uidOf(pod) !== podUid) kubelet.hearGone(podUid);
    else if (isMirror(pod)) kubelet.restartSandbox(pod);
    else this.delete(pod);
  }

  /** Gracefully: its node ends it, then the object goes. */
  delete(pod: Obj): void {
    const { server, simulation, machines } = this.#world;
    if (pod.metadata.deletionTimestamp || isMirror(pod)) return;
    simulation.note(`pod ${pod.metadata.name} deleted`);
    const metadata = { ...pod.metadata, deletionTimestamp: new Date().toISOString() };
    machines.get(nodeOf(pod))!.kubelet.hear(server.put("pods", { ...pod, metadata }));
  }

  /** `--force --grace-period=0`, or the pod GC of a deleted node: the object goes at once, and its node hears of it when it can. */
  deleteByForce(pod: Obj): void {
    const { server, simulation, machines } = this.#world;
    simulation.note(`pod ${pod.metadata.name} deleted by force`);
    server.remove("pods", keyOf(pod));
    machines.get(nodeOf(pod))!.kubelet.hearObjectGone(pod);
  }

  /** Its containers end by themselves. */
  finish(pod: Obj): void {
    const { server, machines } = this.#world;
    const { kubelet, isCut } = machines.get(nodeOf(pod))!;
    if (isCut || pod.metadata.deletionTimestamp || isMirror(pod)) return; // its kubelet says so
    server.put("pods", { ...pod, status: { phase: "Succeeded" } });
    kubelet.hearGone(pod.metadata.uid);
  }
}
