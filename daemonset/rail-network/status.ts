import { countOf, rangeFrom } from "../../ipam/range.ts";
import { CONDITION, type RailNode, toTime } from "../rail-node/object.ts";
import type { NetworkRail, NetworkVerdict, RailNetwork, RailNetworkRailStatus, RailNetworkStatus } from "./object.ts";

const MESSAGE_MAX = 1000;
const MAX_NAMES = 8;

/** What else is known of a RailNetwork. */
interface StatusSources {
  /** Further conditions. */
  readonly more?: readonly NetworkVerdict[];
  /** How many addresses of a subnet are reserved. */
  readonly reservedIn?: (subnet: string) => number;
}

/** The status of a RailNetwork, from the reports of all nodes. Pure. */
export function statusOf(
  { metadata: { name }, spec, status }: RailNetwork,
  all: readonly RailNode[],
  nowMs: number,
  { more = [], reservedIn = () => 0 }: StatusSources = {},
): RailNetworkStatus {
  const nodes = all.filter((node) => node.status?.networks?.includes(name));
  const rails = spec.rails.map((rail) => railStatus(rail, nodes, reservedIn));
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

function railStatus(
  rail: NetworkRail,
  nodes: readonly RailNode[],
  reservedIn: (subnet: string) => number,
): RailNetworkRailStatus {
  const reports = nodes.flatMap(({ metadata, status }) =>
    status!.rails.filter(({ name }) => name === rail.name).map((report) => ({ node: metadata.name, ...report })),
  );
  const sum = (key: "vfs" | "used") => reports.reduce((total, one) => total + one[key], 0);
  const users = reports.filter(({ used }) => used > 0).map(({ node }) => node);
  return {
    name: rail.name,
    ready: reports.filter(({ carrier }) => carrier).length,
    nodes: nodes.length,
    vfs: sum("vfs"),
    used: sum("used"),
    ...(users.length > 0 && { users: fewOf(users) }),
    ...addressCounts(rail, reservedIn),
  };
}

/** At most 256 characters: a node's name may have 253. */
function fewOf(names: readonly string[]): string {
  const shown = names.slice(0, MAX_NAMES).filter((_, i) => names.slice(0, i + 1).join(", ").length <= 200);
  const more = names.length - shown.length;
  if (shown.length === 0) return `${more} nodes`;
  return more === 0 ? shown.join(", ") : `${shown.join(", ")} and ${more} more`;
}

function addressCounts(
  rail: NetworkRail,
  reservedIn: (subnet: string) => number,
): Pick<RailNetworkRailStatus, "addresses" | "addressesUsed" | "addressesLeft"> {
  const all = addressesOf(rail);
  if (all === undefined) return {};
  const addressesUsed = reservedIn(rail.subnet!);
  if (all > BigInt(Number.MAX_SAFE_INTEGER)) return { addressesUsed };
  const addresses = Number(all);
  return { addresses, addressesUsed, addressesLeft: Math.max(0, addresses - addressesUsed) };
}

/** Undefined without a subnet, and for one with no address to assign, which the server refuses. */
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

/** A subnet smaller than nodes x VFs: the last pods would find no address. */
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
