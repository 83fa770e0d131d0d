import { ipBytes, ipText, networkOf, splitCidr } from "../../kernel/netlink/ip-bytes.ts";
import type { RailPeer } from "./object.ts";
import type { OwnNode } from "./own-node.ts";

/** Addresses as numbers, the last one included. */
interface Range {
  readonly first: number;
  readonly last: number;
}

/** One that a peer says its pods have. */
interface Claim extends Range {
  readonly peer: string;
  readonly cidr: string;
}

/** Which networks of pods go to which peer, and what is refused of those that they claim. */
export interface PodNetworks {
  /** By the peer's name: destinations of routes. */
  readonly byPeer: ReadonlyMap<string, readonly string[]>;
  readonly refused: readonly { readonly peer: string; readonly why: string }[];
}

const MAX_CIDRS = 4;
/** What is larger is no node's. */
const SHORTEST = 16;

/**
 * The pods' networks of other nodes. Each node wrote its own, so they are input: one that has an address of a node, a gateway or a
 * rail in it, or a part of another one's, is nobody's. Of each there are two halves, since the cluster's network has a route to the
 * whole one: it is left alone, ours are longer and win, and when they go it is there. Pure.
 *
 * @param excluded CIDRs that are left alone.
 */
export function choosePodNetworks(own: OwnNode, others: readonly RailPeer[], excluded: readonly string[]): PodNetworks {
  const refused: { peer: string; why: string }[] = [];
  const claims: Claim[] = [];
  for (const { metadata, spec } of others) {
    const cidrs: readonly unknown[] = Array.isArray(spec?.podCIDRs) ? spec.podCIDRs.slice(0, MAX_CIDRS) : [];
    for (const cidr of cidrs)
      try {
        claims.push({ ...readRange(cidr), cidr: cidr as string, peer: metadata.name });
      } catch (error) {
        refused.push({ peer: metadata.name, why: (error as Error).message });
      }
  }
  const kept = keptRanges(own, others, excluded);
  const byPeer = new Map<string, string[]>();
  const shared = overlapping(claims);
  for (const claim of claims) {
    const taken = kept.find(({ range }) => overlap(range, claim))?.what;
    const why = shared.has(claim) ? "another RailPeer has a part of it, too" : taken;
    if (why) refused.push({ peer: claim.peer, why: `podCIDR ${claim.cidr}: ${why}` });
    else byPeer.set(claim.peer, [...(byPeer.get(claim.peer) ?? []), ...halvesOf(claim)]);
  }
  return { byPeer, refused };
}

/** What no pod of another node can have. */
function keptRanges({ identity, reserved }: OwnNode, others: readonly RailPeer[], excluded: readonly string[]) {
  const of = (what: string, cidrs: readonly string[]) => cidrs.filter(isIPv4).map((cidr) => ({ what, range: rangeOf(cidr) })); // biome-ignore format: one row
  return [
    ...of("this node's own address, or its gateway's, is in it", reserved),
    ...of("a rail's network is in it", identity.rails.map(({ address }) => address)), // biome-ignore format: one row
    ...of("it is this node's own", identity.podCIDRs ?? []),
    ...of("it is excluded", excluded),
    ...of("a node's primary address is in it", others.map(({ spec }) => `${spec?.primary}`)), // biome-ignore format: one row
  ];
}

function readRange(cidr: unknown): Range {
  const fix = `want the network of one node's pods, /${SHORTEST} to /31, such as 10.244.7.0/24`;
  if (typeof cidr !== "string" || !isIPv4(cidr) || networkOf(cidr) !== cidr)
    throw new Error(`podCIDR ${JSON.stringify(cidr)}: ${fix}`);
  const { bits } = splitCidr(cidr);
  if (bits < SHORTEST || bits > 31) throw new Error(`podCIDR ${cidr}: ${fix}`);
  return rangeOf(cidr);
}

const isIPv4 = (cidr: string): boolean => {
  try {
    return splitCidr(cidr).bytes.length === 4;
  } catch {
    return false;
  }
};

function rangeOf(cidr: string): Range {
  const { bits } = splitCidr(cidr);
  const first = ipBytes(networkOf(cidr).split("/")[0]!).readUInt32BE(0);
  return { first, last: first + 2 ** (32 - bits) - 1 };
}

const overlap = (a: Range, b: Range): boolean => a.first <= b.last && b.first <= a.last;

/** Those that have an address in common with another one: thousands, so not each with each. */
function overlapping(claims: readonly Claim[]): ReadonlySet<Claim> {
  const found = new Set<Claim>();
  let widest: Claim | undefined;
  for (const claim of claims.toSorted((a, b) => a.first - b.first)) {
    if (widest && overlap(widest, claim)) found.add(widest).add(claim);
    if (!widest || claim.last > widest.last) widest = claim;
  }
  return found;
}

function halvesOf({ first, last }: Range): string[] {
  const size = (last - first + 1) / 2;
  const bits = 32 - Math.log2(size);
  return [first, first + size].map((start) => {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(start);
    return `${ipText(bytes)}/${bits}`;
  });
}
