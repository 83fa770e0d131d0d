import type { Ethtool } from "../kernel/ethtool.ts";
import type { XdpProgram } from "../kernel/link-settings.ts";
import type { NetlinkSocket } from "../kernel/netlink/socket.ts";
import type { RxRules } from "../kernel/rx-rules.ts";
import type { Fd } from "../kernel/syscall.ts";
import type { Ipam } from "./ipam.ts";
import type { Step } from "./steps.ts";

/** A log line is a constant message with fields, as in pino. Never written to stdout. */
export interface Log {
  debug(fields: object, message: string): void;
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
}

/** Where things are on a node. Every root is an argument, so that tests can pass their own. */
export interface Paths {
  /**
   * The host's root directory as this process sees it: `/`, or for the agent in its container `/proc/1/root`. Paths named by
   * a runtime are looked up below it ({@link onHost}); the other paths here are the same for both, since they are mounted.
   */
  readonly hostRoot: string;
  /** sysfs, `/sys`. */
  readonly sysfs: string;
  /** The journal: survives reboots, `/var/lib/railnet`. */
  readonly stateDir: string;
  /** Socket and locks: gone after a reboot, `/run/railnet`. */
  readonly runDir: string;
  /** Caches of the plugins that Railnet replaces, `/var/lib/cni`: below it `sriov/` and `rdma/`. */
  readonly cniCacheDir: string;
  /** Named network namespaces, `/run/netns`: only read, to say in whose namespace a VF is. */
  readonly netnsDir: string;
  /** The one place where device-info files may be written, `/var/run/k8s.cni.cncf.io/devinfo/cni`. */
  readonly deviceInfoDir: string;
  /** Root's settings of this node, `/etc/railnet/node.json`. */
  readonly nodeConfig: string;
}

/** Time; tests pass their own. */
export interface Clock {
  /** Monotonic. */
  nowMs(): number;
  sleep(ms: number): Promise<void>;
}

/** One thread's share of a GC: the attachments of some VFs. */
export interface GcShare {
  readonly has: (pci: string) => boolean;
  /** Whether to ask the IPAM plugin as well. */
  readonly asksIpam: boolean;
}

/** The edges of the attach plugin: everything a verb touches that is not its argument. */
export interface Host {
  readonly paths: Paths;
  /** `/proc/sys/kernel/random/boot_id`: records of another boot own nothing. */
  readonly bootId: string;
  /** rtnetlink in the host's network namespace, open for the life of the thread. */
  readonly rtnl: NetlinkSocket;
  /** Drivers' settings, in the host's network namespace; absent where the kernel has no such family. */
  readonly ethtool?: Ethtool | undefined;
  /** Drivers' rules for received packets, also in the host's namespace. */
  readonly rxRules?: RxRules;
  /** Programs on links of the host's network namespace. */
  readonly bpf?: {
    detachTcx(index: number): number;
    detachXdpLink(index: number, program: XdpProgram): void;
  };
  /** sysfs as the calling thread's network namespace shows it, open; absent where it is a tree of a test's. */
  readonly openSysfs?: () => Fd;
  readonly ipam: Ipam;
  /** How long IPAM plugins have to answer an ADD. */
  readonly ipamTimeoutMs: number;
  readonly log: Log;
  readonly clock: Clock;
  /** Aborted when the caller is gone or a DEL overtakes this ADD. */
  readonly signal: AbortSignal;
  /** Called after each named step, with the interface concerned, if any: where tests inject faults. */
  step(step: Step, ifname?: string): void;
  /** What this GC has to do where several threads share the work; absent: everything. */
  readonly share?: GcShare;
  /** Schedules work for after the answer (announcements). Never rejects. */
  afterwards(work: () => Promise<void>): void;
}

export const PATHS: Paths = {
  hostRoot: "/",
  sysfs: "/sys",
  stateDir: "/var/lib/railnet",
  runDir: "/run/railnet",
  cniCacheDir: "/var/lib/cni",
  netnsDir: "/run/netns",
  deviceInfoDir: "/var/run/k8s.cni.cncf.io/devinfo/cni",
  nodeConfig: "/etc/railnet/node.json",
};
