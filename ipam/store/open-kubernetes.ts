import { type ConnectOptions, connect } from "../connect.ts";
import { healingOf, modeOf, readSettings } from "../mode.ts";
import { toStoreError } from "./kubernetes/failure.ts";
import { KubernetesStore, type KubernetesStoreOptions } from "./kubernetes.ts";
import type { Store } from "./store.ts";

export interface KubernetesOptions extends ConnectOptions, Partial<Pick<KubernetesStoreOptions, "log" | "step">> {}

/**
 * A store in a cluster that has the resources of `manifests/crds`, beside any number of others, including Railnet's agents
 * and Whereabouts. The cluster's mode is read once: to follow a takeover while it runs, create a {@link KubernetesStore}
 * with a `mode` of your own.
 *
 * @throws {StoreError}
 */
export async function openKubernetesStore({ log = SILENT, step, ...access }: KubernetesOptions = {}): Promise<Store> {
  try {
    const cluster = await connect(access);
    const settings = await readSettings(cluster);
    const mode = modeOf(settings);
    const hold = () => healingOf(settings, Date.now());
    return new KubernetesStore({ cluster, log, ...(step && { step }), mode: () => mode, hold, createsAdopted: false });
  } catch (error) {
    throw toStoreError("reach the API server", error);
  }
}

const SILENT: KubernetesStoreOptions["log"] = { info() {}, warn() {} };
