import type { Link } from "../../../kernel/link.ts";
import { pcieRootOf } from "../../../kernel/pcie.ts";
import { numaNodeOf } from "../../../kernel/sysfs.ts";
import type { Host } from "../../host.ts";
import type { Plan } from "../../plan.ts";
import type { Result } from "../../protocol/result.ts";
import type { RdmaInPod } from "../rdma-ready.ts";
import type { Offered } from "./offered.ts";
import type { ToldRail, ToldRdma } from "./rail.ts";

/** A VF as ADD has put it into a pod. */
interface AttachedVf {
  readonly plan: Pick<Plan, "call" | "config" | "device">;
  readonly link: Link | undefined;
  readonly addresses: Result;
  /** The names of its RDMA devices there. */
  readonly rdma: readonly string[];
  readonly seen: RdmaInPod | undefined;
}

/** What the pod is told of it. Its rail's name is the node's; of a VF that the node does not offer it is the network's. */
export function toldRail(
  { plan: { call, config, device }, link, addresses, seen }: AttachedVf,
  { rails, gpus = {} }: Offered,
  { paths: { sysfs } }: Pick<Host, "paths">,
): ToldRail {
  const { pci, pf } = device;
  const numaNode = numaNodeOf(sysfs, pci);
  const pcieRoot = pcieRootOf(sysfs, pci);
  const near = pf && gpus[pf.pci];
  return {
    name: rails[pci] ?? config.network,
    interface: call.ifname,
    addresses: addresses.ips.map(({ address }) => address),
    gateways: addresses.ips.flatMap(({ gateway }) => gateway ?? []),
    pci,
    ...(pf && { pf: { name: pf.name, pci: pf.pci, vf: pf.vf } }),
    ...(link && { mac: link.mac, mtu: link.mtu }),
    ...(numaNode !== undefined && { numaNode }),
    ...(pcieRoot !== undefined && { pcieRoot }),
    ...(near && near.length > 0 && { gpus: near }),
    ...(seen && { rdma: toldRdma(seen, config.expect) }),
  };
}

export function toldRdma(
  { device, port, state, speedGbps, mtu, gids }: RdmaInPod,
  { trafficClass }: Pick<ToldRdma, "trafficClass"> = {},
): ToldRdma {
  const [first] = gids;
  return {
    device,
    port,
    state,
    ...(speedGbps !== undefined && { speedGbps }),
    ...(mtu !== undefined && { mtu }),
    ...(trafficClass !== undefined && { trafficClass }),
    ...(first && { gidIndex: first.index, gid: first.gid }),
    gids: gids.map(({ address, index, gid }) => ({ address, index, gid })),
  };
}
