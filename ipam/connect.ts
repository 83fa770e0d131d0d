import { accessBy, type ReadAccess } from "../kubernetes/access.ts";
import { ApiCluster } from "../kubernetes/api-cluster.ts";
import { Caller, type CallerOptions } from "../kubernetes/caller.ts";
import type { Cluster } from "../kubernetes/cluster.ts";
import { openTransport } from "../kubernetes/open-transport.ts";
import { Session } from "../kubernetes/session.ts";
import { ParsedCluster } from "./whereabouts/parsed-cluster.ts";

/** How configuration is read and connections are opened. */
export interface Network {
  /** @param kubeconfig path; undefined: the service account of the pod that this runs in. */
  accessBy(kubeconfig: string | undefined): ReadAccess;
  readonly openTransport: typeof openTransport;
}

const OF_MACHINE: Network = { accessBy, openTransport };

export interface ConnectOptions extends CallerOptions {
  /** Path. Default: the service account of the pod that this runs in. */
  readonly kubeconfig?: string;
  /** Namespace of the Whereabouts objects. Default: the kubeconfig context's, else `kube-system`. */
  readonly namespace?: string;
  /** How many objects list() gets per request, to which the time limit applies. Default 5000. */
  readonly pageSize?: number;
  /** Default: the machine's. */
  readonly network?: Network;
}

/**
 * Connects to an API server. Reads the configuration; sends nothing yet.
 *
 * @throws {ApiError} when the configuration cannot be used.
 */
export async function connect(options: ConnectOptions = {}): Promise<Cluster> {
  const { kubeconfig, namespace, pageSize = 5000, network = OF_MACHINE, ...limits } = options;
  const session = new Session(network.accessBy(kubeconfig), network.openTransport);
  const { access } = await session.open();
  const api = new ApiCluster(new Caller(session, limits), namespace ?? access.namespace ?? "kube-system", pageSize);
  return new ParsedCluster(api);
}
