/// <reference lib="esnext.disposable" preserve="true" />
// railnet/kubernetes: addresses in the objects of a cluster, Whereabouts' resources.

export { type ConnectOptions, connect } from "../ipam/connect.ts";
export { type Mode, readMode } from "../ipam/mode.ts";
export { KubernetesStore, type KubernetesStoreOptions } from "../ipam/store/kubernetes.ts";
export { type KubernetesOptions, openKubernetesStore } from "../ipam/store/open-kubernetes.ts";
export {
  ApiError,
  type At,
  type Cluster,
  type JsonPatch,
  type KubeObject,
  type ObjectMeta,
  type Resource,
  type Selection,
  type WatchEvent,
} from "../kubernetes/cluster.ts";
