import type { Network } from "../connect.ts";
import type { IpamLog } from "../host.ts";
import type { IpamStep } from "../steps.ts";
import type { Storage } from "../storage.ts";
import type { AddressLock } from "./address-lock.ts";
import type { Store } from "./store.ts";

export interface OpenOptions {
  readonly log: IpamLog;
  readonly step?: (step: IpamStep) => void;
  /** Locks between all processes that use a directory. */
  lockIn(dir: string): AddressLock;
  /** Default: the machine's. */
  readonly network?: Network;
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
  const { openKubernetesStore } = await import("./open-kubernetes.ts");
  const { log, step, network } = options;
  const optional = { ...(step && { step }), ...(network && { network }) };
  return await openKubernetesStore({ kubeconfig: storage.kubeconfig, log, ...optional });
}
