import type { IpamLog } from "../host.ts";
import type { IpamStep } from "../steps.ts";
import type { Storage } from "../storage.ts";
import type { AddressLock } from "./directory.ts";
import type { Store } from "./store.ts";

export interface OpenOptions {
  readonly log: IpamLog;
  readonly step?: (step: IpamStep) => void;
  /** Locks between all processes that use a directory. */
  lockIn(dir: string): AddressLock;
}

/**
 * Opens a storage for one call. Loads only what that storage needs.
 *
 * @throws {StoreError}
 */
export async function openStore(storage: Storage, options: OpenOptions): Promise<Store> {
  if (storage.kind === "directory") {
    const { DirectoryStore } = await import("./directory.ts");
    return new DirectoryStore(storage.path, options.lockIn(storage.path));
  }
  return await openKubernetes(storage.kubeconfig, options);
}

async function openKubernetes(kubeconfig: string, { log, step }: OpenOptions): Promise<Store> {
  const { connect } = await import("../kubernetes/connect.ts");
  const { readMode } = await import("../kubernetes/mode.ts");
  const { toStoreError } = await import("./kubernetes/failure.ts");
  const { KubernetesStore } = await import("./kubernetes.ts");
  try {
    const cluster = await connect({ kubeconfig });
    const mode = await readMode(cluster);
    return new KubernetesStore({ log, ...(step && { step }), cluster, mode: () => mode, createsAdopted: false });
  } catch (error) {
    throw toStoreError("reach the API server", error);
  }
}
