import { setAdminMac } from "../../cni/attachment/mac.ts";
import type { Host } from "../../cni/host.ts";
import { askByIoctl } from "../../kernel/ethtool-ioctl.ts";
import { linkCalled, linkOf, setLink } from "../../kernel/link.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { NETLINK_RDMA, type RdmaNetnsMode, rdmaNetnsMode } from "../../kernel/rdma.ts";
import { netdevOf } from "../../kernel/sysfs.ts";
import { vfsOf } from "../../kernel/vf.ts";
import { type RdmaReading, readRdma } from "../metrics/read-rdma.ts";
import { type KernelFacts, readKernelFacts } from "../rail-node/kernel-facts.ts";
import { ensureRdmaMode } from "./rdma-mode.ts";

/**
 * What keeping the rails needs from the kernel by netlink: the work of a kernel thread, the PF's if there is one. Otherwise
 * the agent's main thread would answer nobody, not even its probes, while a driver or the holder of rtnl takes its time.
 */
export type RailOrder =
  /** A VF of a PF that is down cannot do anything. Idempotent. */
  | { readonly do: "set-up"; readonly pf: string; readonly netdev: string }
  /** Administrative MACs by index, as the PF lists them; those that it hides at the moment are missing. */
  | { readonly do: "list-admin-macs"; readonly pf: string; readonly netdev: string }
  /** Gives a VF its own MAC as the administrative one. */
  | {
      readonly do: "give-own-mac";
      readonly pf: string;
      readonly netdev: string;
      readonly index: number;
      readonly vf: string;
    }
  | { readonly do: "set-rdma-mode"; readonly mode: RdmaNetnsMode }
  | { readonly do: "read-rdma-mode" }
  /** What only the kernel tells about a PF. */
  | { readonly do: "read-facts"; readonly pf: string; readonly netdev: string }
  /** RDMA counters of a PF and of its VFs in pods. */
  | { readonly do: "read-rdma"; readonly pf: string }
  /** The names of links that have these alternative names; sysfs does not show these. */
  | { readonly do: "find-altnames"; readonly altnames: readonly string[] };

/** The answer to each. */
export interface RailAnswers {
  readonly "set-up": undefined;
  readonly "list-admin-macs": ReadonlyMap<number, string>;
  readonly "give-own-mac": undefined;
  /** Whether it was different before. */
  readonly "set-rdma-mode": boolean;
  /** Null where the kernel has no RDMA. */
  readonly "read-rdma-mode": RdmaNetnsMode | null;
  readonly "read-facts": KernelFacts;
  /** Null for a PF without link. */
  readonly "read-rdma": RdmaReading | null;
  readonly "find-altnames": ReadonlyMap<string, string>;
}

/** Carries out orders. @throws {Error} naming what to do. */
export type CarryOut = <O extends RailOrder>(order: O) => Promise<RailAnswers[O["do"]]>;

type KernelHost = Pick<Host, "rtnl" | "clock" | "paths" | "openSysfs" | "bootId">;

/** In the thread that talks to the kernel. */
export async function carryOut(order: RailOrder, host: KernelHost): Promise<RailAnswers[RailOrder["do"]]> {
  if (order.do === "set-up") return setUp(order.netdev, host);
  if (order.do === "list-admin-macs") return adminMacs(order.netdev, host);
  if (order.do === "give-own-mac") return giveOwnMac(order, host);
  if (order.do === "find-altnames") return findAltnames(order.altnames, host);
  if (order.do === "read-facts") return readKernelFacts(order.netdev, { ...host, ask: askByIoctl });
  if (order.do === "read-rdma") return readRdma(order.pf, { ...host, ask: askByIoctl }) ?? null;
  if (order.do === "read-rdma-mode") return readRdmaMode();
  return ensureRdmaMode(order.mode, () => new NetlinkSocket({ protocol: NETLINK_RDMA }));
}

function readRdmaMode(): RdmaNetnsMode | null {
  try {
    using rdma = new NetlinkSocket({ protocol: NETLINK_RDMA });
    return rdmaNetnsMode(rdma);
  } catch {
    return null;
  }
}

function setUp(netdev: string, { rtnl }: KernelHost): undefined {
  const { index, up } = rtnl.get(linkOf({ name: netdev }));
  if (!up) rtnl.request(setLink(index, { up: true }, `set ${netdev} up`));
}

function adminMacs(netdev: string, { rtnl }: KernelHost): ReadonlyMap<number, string> {
  return new Map([...rtnl.get(vfsOf({ name: netdev }))].map(([index, { mac }]) => [index, mac]));
}

async function giveOwnMac(
  { netdev: pf, index: vf, vf: pci }: Extract<RailOrder, { do: "give-own-mac" }>,
  { rtnl, clock, paths }: KernelHost,
): Promise<undefined> {
  const netdev = netdevOf(paths.sysfs, pci);
  if (netdev === undefined) throw new Error("it has no link here whose MAC it could keep");
  const { index: pfIndex } = rtnl.get(linkOf({ name: pf }));
  const { mac } = rtnl.get(linkOf({ name: netdev }));
  await setAdminMac(rtnl, { pfIndex, vf }, mac, { clock });
}

function findAltnames(altnames: readonly string[], { rtnl }: KernelHost): ReadonlyMap<string, string> {
  const found = altnames.map((altname) => [altname, linkCalled(altname, rtnl)?.name] as const);
  return new Map(found.filter((one): one is readonly [string, string] => one[1] !== undefined));
}
