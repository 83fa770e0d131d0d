import { roceMtuOf } from "../../kernel/rdma-port.ts";
import type { RailNode, RailReport } from "./object.ts";

/** One thing in which nodes of a kind should be alike. */
export interface Fact {
  /** Empty for a fact of the whole node. */
  readonly rail: string;
  /** `firmware`, `PCIe width`. */
  readonly fact: string;
  readonly value: string;
}

/** Shown if a node does not report what others do. */
const UNKNOWN = "not known";

type Tell = (rail: RailReport) => string | number | undefined;

/** For each rail. Leaves out what is unique to a port (MAC, addresses) and what changes with pods and cables. */
const OF_RAIL: Readonly<Record<string, Tell>> = {
  PF: ({ pf }) => pf,
  "PCI address": ({ pci }) => pci,
  model: ({ model }) => model,
  driver: ({ driver }) => driver,
  firmware: ({ firmware }) => firmware,
  MTU: ({ mtu }) => mtu,
  speed: ({ speed }) => (speed === undefined ? undefined : `${speed} Mb/s`),
  "PCIe speed": ({ pcie }) => pcie?.speed,
  "PCIe width": ({ pcie }) => pcie && `x${pcie.width}`,
  "PCIe speed of the device": ({ pcie }) => pcie?.maxSpeed,
  "PCIe width of the device": ({ pcie }) => pcie && `x${pcie.maxWidth}`,
  "PCIe root": ({ pcieRoot }) => pcieRoot,
  "NUMA node": ({ numaNode }) => numaNode,
  "GPUs near": ({ gpus }) => gpus?.join(" "),
  "RDMA devices": ({ rdmaDevices }) => rdmaDevices?.join(" "),
  sriov_totalvfs: ({ totalVfs }) => totalVfs,
  VFs: ({ vfs }) => vfs,
  trust: ({ qos }) => qos?.trust,
  PFC: ({ qos }) => none(qos?.pfc),
  ECN: ({ qos }) => none(qos?.ecn),
};

/** Derived from other facts, so used only where it is pinned. */
const DERIVED: typeof OF_RAIL = {
  "RoCE MTU": ({ rdmaDevices, mtu }) => (rdmaDevices?.length && mtu ? roceMtuOf(mtu) : undefined),
};

/** Priorities; an empty list is an answer. */
const none = (priorities: string | undefined): string | undefined => (priorities === "" ? "off" : priorities);

/** Without carrier no port has a speed: the cable is at fault, and reported elsewhere. */
const isUntold = (fact: string, { carrier }: RailReport): boolean => fact === "speed" && !carrier;

/**
 * All facts of a node, including those not reported. Empty for a node that has not reported. Pure.
 *
 * @param isPinned whether a RailNetwork pins the value.
 */
export function factsOf({ status }: RailNode, isPinned: (rail: string, fact: string) => boolean): Fact[] {
  if (!status) return [];
  const { kernel, rdmaMode, agent, containerd, kubelet, multus } = status.node;
  const ofNode = { kernel, "RDMA mode": rdmaMode, agent, containerd, kubelet, Multus: multus };
  return [
    ...Object.entries(ofNode).map(([fact, value]) => ({ rail: "", fact, value: value ?? UNKNOWN })),
    ...status.rails.flatMap((rail) =>
      [...Object.entries(OF_RAIL), ...Object.entries(DERIVED).filter(([fact]) => isPinned(rail.name, fact))]
        .filter(([fact]) => !isUntold(fact, rail))
        .map(([fact, tell]) => ({ rail: rail.name, fact, value: `${tell(rail) ?? UNKNOWN}` })),
    ),
  ];
}

/** Names by which a fact can be left out. */
export const FACT_NAMES: readonly string[] = [
  "kernel",
  "RDMA mode",
  "agent",
  "containerd",
  "kubelet",
  "Multus",
  "rail",
  "MAC",
  "address",
  ...Object.keys(OF_RAIL),
  ...Object.keys(DERIVED),
];
