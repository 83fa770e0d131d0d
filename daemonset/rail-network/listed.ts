import { type Rail, toRail } from "../rails/config.ts";
import { type RailSets, SETS_RESOURCE } from "../rails/sets.ts";
import type { Expectations, NetworkRail, NodesSpec, PodsSpec } from "./object.ts";

/** The part of a RailNetwork that an agent needs, and keeps on disk. */
export interface FollowedNetwork {
  readonly name: string;
  readonly rails: readonly NetworkRail[];
  readonly pods?: PodsSpec;
  /** The namespaces that `pods.namespaces` selects, in order; absent: all. */
  readonly namespaces?: readonly string[];
  readonly sets?: number;
  readonly nodes?: NodesSpec;
  readonly expect?: Expectations;
}

/** The list of rails of a node, and where it comes from. */
export interface Listed {
  readonly rails: readonly Rail[];
  /** Names of the RailNetworks; none: the ConfigMap. */
  readonly networks: readonly string[];
  /** Entries that are not used, because a rail of another RailNetwork has what they want, or because of a mistake. */
  readonly refused: readonly { readonly rail: string; readonly why: string }[];
  /** From the first RailNetwork that has some: there is one resource for them. */
  readonly sets?: RailSets;
}

/**
 * The rails of all RailNetworks that a node follows, in their order: what one has been given is not the next one's. A mistake
 * in one, which the API server would have refused, keeps no other from being used. Pure.
 */
export function listRails(networks: readonly FollowedNetwork[]): Listed {
  const { accepted, refused } = acceptRails(networks);
  const sets = setsOf(networks, accepted);
  return {
    rails: accepted.map(({ rail }) => rail),
    networks: networks.map(({ name }) => name),
    refused,
    ...(sets && { sets }),
  };
}

function setsOf(networks: readonly FollowedNetwork[], accepted: readonly Accepted[]): RailSets | undefined {
  const { name, sets: count = 0 } = networks.find(({ sets = 0 }) => sets > 0) ?? {};
  const rails = accepted.filter(({ network }) => network === name).map(({ rail }) => rail.name);
  const isTaken = accepted.some(({ rail }) => rail.resource === SETS_RESOURCE); // the definition refuses it
  return rails.length > 0 && !isTaken ? { count, rails } : undefined;
}

/** A rail with its RailNetwork, and the entry there. */
interface Accepted {
  readonly rail: Rail;
  readonly network: string;
  readonly entry: NetworkRail;
}

/** Which rails belong to which RailNetwork, and why others are not used. Pure. */
export function acceptRails(
  networks: readonly FollowedNetwork[],
): Pick<Listed, "refused"> & { readonly accepted: readonly Accepted[] } {
  const accepted: Accepted[] = [];
  const refused: { rail: string; why: string }[] = [];
  for (const { name: network, rails: entries } of networks)
    for (const [i, entry] of entries.entries()) {
      const rail = readEntry(entry, i);
      const why = typeof rail === "string" ? rail : clashOf(rail, accepted);
      if (typeof rail !== "string" && why === undefined) accepted.push({ rail, network, entry });
      else refused.push({ rail: `${entry?.name ?? i + 1}`, why: `RailNetwork ${network}: ${why}` });
    }
  return { accepted, refused };
}

/** The ConfigMap's reader checks them, too: an older definition may have let a mistake pass. @returns the mistake, if any. */
function readEntry(entry: NetworkRail, index: number): Rail | string {
  try {
    const { mtu, subnet: _, exclude: __, vfs, ...same } = entry;
    const rail = toRail({ ...same, ...(vfs !== undefined && { vfs: `${vfs}` }) }, index);
    return mtu === undefined ? rail : { ...rail, mtu };
  } catch (error) {
    return (error as Error).message;
  }
}

function clashOf(rail: Rail, others: readonly { readonly rail: Rail; readonly network: string }[]): string | undefined {
  for (const { rail: other, network } of others) {
    const of = `rail ${other.name} of RailNetwork ${network}`;
    if (rail.name === other.name) return `${of} already has this name`;
    if (rail.resource === other.resource) return `${of} already has resource ${rail.resource}`;
    if (rail.rdma && other.rdma && rail.rdma !== other.rdma)
      return `it wants rdma ${rail.rdma}, but ${of} wants ${other.rdma}: the mode applies to the whole node`;
  }
  return undefined;
}
