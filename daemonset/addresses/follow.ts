import type { Log } from "../../cni/host.ts";
import type { Cluster, KubeObject, Resource, WatchEvent } from "../../ipam/kubernetes/cluster.ts";
import { Informer, type InformerOptions } from "../../ipam/kubernetes/informer.ts";

export interface FollowOptions<T> extends Omit<InformerOptions<T>, "onError"> {
  /** What is remembered of an object. Must keep name, namespace, UID and resourceVersion. Default: all. */
  readonly keep?: (object: KubeObject) => T;
}

/** Follows objects of one kind. What the server refuses is tried again without end, and logged. */
export function follow<T extends KubeObject>(
  { cluster, log }: { readonly cluster: Cluster; readonly log: Log },
  resource: Resource,
  { keep = (object) => object as T, ...options }: FollowOptions<T>,
): Informer<T> {
  const onError = (err: Error) => log.debug({ err, resource: resource.plural }, "cannot follow; it is tried again");
  return Informer.start<T>(keeping(cluster, keep), resource, { onError, ...options });
}

/** The objects go through `keep` one by one as they come: many whole ones would fill the memory. */
function keeping<T extends KubeObject>(cluster: Cluster, keep: (object: KubeObject) => T): Cluster {
  const lists: Pick<Cluster, "list" | "watch"> = {
    list: (resource, selection) => cluster.list(resource, { ...selection, keep: keep as never }),
    async *watch<E extends KubeObject>(...args: Parameters<Cluster["watch"]>) {
      for await (const event of cluster.watch<E>(...args))
        yield event.type === "BOOKMARK"
          ? event
          : ({ ...event, object: keep(event.object) } as unknown as WatchEvent<E>);
    },
  };
  return lists as Cluster;
}
