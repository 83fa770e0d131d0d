import { countOf, rangeFrom } from "../../ipam/range.ts";
import { CONDITION, type RailNode, toTime } from "../rail-node/object.ts";
import type { NetworkRail, NetworkVerdict, RailNetwork, RailNetworkRailStatus, RailNetworkStatus } from "./object.ts";

const MESSAGE_MAX = 1000;
const MAX_NAMES = 8;

/** What became of a RailNetwork, by the reports of all nodes. @param more what else is to be said of it. Pure. */
export function statusOf(
  { metadata: { name }, spec, status }: RailNetwork,
  all: readonly RailNode[],
  nowMs: number,
  more: readonly NetworkVerdict[] = [],
): RailNetworkStatus {
  const nodes = all.filter((node) => node.status?.networks?.includes(name));
  const rails = spec.rails.map((rail) => railStatus(rail, nodes));
  const unready = nodes.filter((node) => node.status!.conditions?.[CONDITION.RailsReady]?.status !== "True");
  const sum = (key: "vfs" | "used") => rails.reduce((total, rail) => total + rail[key], 0);
  const verdicts = [ready(nodes, unready), suffice(rails, spec.rails), ...more];
  return {
    summary: { nodes: `${nodes.length - unready.length}/${nodes.length}`, vfs: `${sum("used")}/${sum("vfs")}` },
    rails,
    conditions: verdicts.map((verdict) => {
      const before = status?.conditions?.find(({ type }) => type === verdict.type);
      const isSame = before?.status === verdict.status;
      return { ...verdict, lastTransitionTime: isSame ? before.lastTransitionTime : toTime(nowMs) };
    }),
  };
}

function railStatus(rail: NetworkRail, nodes: readonly RailNode[]): RailNetworkRailStatus {
  const reports = nodes.flatMap(({ status }) => status!.rails.filter(({ name }) => name === rail.name));
  const sum = (key: "vfs" | "used") => reports.reduce((total, one) => total + one[key], 0);
  const addresses = addressesOf(rail);
  return {
    name: rail.name,
    ready: reports.filter(({ carrier }) => carrier).length,
    nodes: nodes.length,
    vfs: sum("vfs"),
    used: sum("used"),
    ...(addresses !== undefined && addresses <= BigInt(Number.MAX_SAFE_INTEGER) && { addresses: Number(addresses) }),
  };
}

/** Undefined without a subnet, and for one that gives out nothing, which the server refuses. */
function addressesOf({ subnet, exclude = [] }: NetworkRail): bigint | undefined {
  try {
    return subnet === undefined ? undefined : countOf(rangeFrom(subnet, { exclude }));
  } catch {
    return undefined;
  }
}

function ready(nodes: readonly RailNode[], unready: readonly RailNode[]): NetworkVerdict {
  const type = "Ready";
  if (nodes.length === 0)
    return {
      type,
      status: "False",
      reason: "NoNodes",
      message: "no node that follows it has reported: see nodeSelector",
    };
  if (unready.length === 0) return { type, status: "True", reason: "AllReady", message: "" };
  const said = unready
    .slice(0, MAX_NAMES)
    .map(({ metadata: { name }, status }) => `${name}: ${status!.conditions?.[CONDITION.RailsReady]?.message}`);
  const more = unready.length > MAX_NAMES ? [`and ${unready.length - MAX_NAMES} more nodes`] : [];
  return {
    type,
    status: "False",
    reason: "NodesNotReady",
    message: [...said, ...more].join("; ").slice(0, MESSAGE_MAX),
  };
}

/** A subnet smaller than nodes x VFs: pods that come last find no address. */
function suffice(rails: readonly RailNetworkRailStatus[], spec: readonly NetworkRail[]): NetworkVerdict {
  const type = "AddressesSuffice";
  const short = rails.filter(({ addresses, vfs }) => addresses !== undefined && addresses < vfs);
  if (short.length === 0) return { type, status: "True", reason: "Enough", message: "" };
  const said = short.map(
    ({ name, addresses, vfs, nodes }) =>
      `${name}: ${nodes} nodes have ${vfs} VFs, and ${spec.find((one) => one.name === name)!.subnet} has ${addresses} addresses`,
  );
  return { type, status: "False", reason: "SubnetTooSmall", message: said.join("; ").slice(0, MESSAGE_MAX) };
}
