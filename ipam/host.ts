import type { ClaimRecord } from "./journal.ts";
import type { IpamStep } from "./steps.ts";
import type { Storage } from "./storage.ts";
import type { Store } from "./store/store.ts";

export interface IpamLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** The edges of the IPAM plugin: everything a verb touches that is not its argument. */
export interface IpamHost {
  /** The journal of claims lives in `<stateDir>/ipam`. */
  readonly stateDir: string;
  /** Name of this node in the cluster. */
  readonly node: string;
  readonly log: IpamLog;
  /** Aborted when the caller is gone or a DEL overtakes this ADD. */
  readonly signal: AbortSignal;
  /** What the network configuration may not set unless root's own file on this node allows it. */
  readonly policy: NodePolicy;
  /** Inode of a file on this node, 0 if there is none. */
  inode(path: string): number;
  /** The text of a file on this node, undefined if there is none. */
  readText(path: string): string | undefined;
  /** Exclusion between all processes of the node; released when the holder dies. */
  lock(name: string, what: string): Promise<Disposable>;
  /** The same object for the same storage for the life of the process. */
  store(storage: Storage): Promise<Store>;
  /** Called after each named step: where tests inject faults. */
  step(step: IpamStep): void;
  /**
   * Makes sure that a record in phase `releasing` is processed, now or later; never throws. The caller holds the
   * attachment's lock.
   */
  releaseSoon(record: ClaimRecord): Promise<void>;
  /** True if this sandbox's addresses were released a moment ago: the store need not be asked again. */
  wasReleased(containerId: string, ifname: string): boolean;
}

/** `/etc/railnet/node.json`, root's own. */
export interface NodePolicy {
  /** Name of this node in the cluster; default: NODENAME of the environment, then what Whereabouts' installer noted, then the host's name. */
  readonly node?: string;
  /** Network configurations may name `kubernetes.kubeconfig`, `configuration_path` and the like. */
  readonly trustNetworkConfig?: boolean;
  /** IPAM types that are ours besides `railnet-ipam`: `["whereabouts"]` during and after a takeover. */
  readonly aliases?: readonly string[];
  /** For the API server. Takes precedence over what Whereabouts' flat file names. */
  readonly kubeconfig?: string;
  /** Directory of the `directory` store; default `<stateDir>/addresses`. */
  readonly directory?: string;
  /** Where Whereabouts' flat file is looked for, in this order; default: its own three places. */
  readonly flatFiles?: readonly string[];
}
