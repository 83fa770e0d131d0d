import { ipBytes, ipText, splitCidr } from "../../kernel/netlink/ip-bytes.ts";
import { macBytes, macText } from "../../kernel/netlink/mac-bytes.ts";
import type { RailPeer, RailPeerRail, RailPeerSpec } from "./object.ts";
import type { OwnNode } from "./own-node.ts";
import { choosePodNetworks } from "./pod-networks.ts";

/** One of a peer's rails that this node has, too. */
export interface PeerHop {
  readonly rail: string;
  readonly ip: string;
  readonly mac: string;
  /** 1 to 256, by speed. */
  readonly weight: number;
}

export interface Peer {
  readonly node: string;
  readonly primary: string;
  readonly hops: readonly PeerHop[];
  /** Networks of its pods that go by its rails, too, as destinations of routes. */
  readonly networks?: readonly string[];
}

/** Which nodes can be reached by rails, and why others cannot. */
export interface Peers {
  readonly peers: readonly Peer[];
  /** `rail` is absent where it is about the whole peer. */
  readonly refused: readonly { readonly peer: string; readonly rail?: string; readonly why: string }[];
}

export interface PeerChoice {
  /** Addresses and CIDRs: nobody whose primary address is in one is routed over rails. */
  readonly exclude: readonly string[];
  readonly weights: "speed" | "equal";
  /** Whether pods of other nodes are reached by rails, too. */
  readonly podCIDRs?: boolean;
}

/**
 * What of all nodes' RailPeers this node may use. They are input: another node wrote each. An address that two peers claim is
 * neither's, and what is this node's own, its gateway's or on a rail is nobody's primary address. Pure.
 */
export function choosePeers(own: OwnNode, objects: readonly RailPeer[], choice: PeerChoice): Peers {
  const others = objects.filter(({ metadata: { name } }) => name !== own.node);
  const claimed = claims(others);
  const pods = choice.podCIDRs ? choosePodNetworks(own, others, choice.exclude) : undefined;
  const peers: Peer[] = [];
  const refused: { peer: string; rail?: string; why: string }[] = [...(pods?.refused ?? [])];
  for (const object of others.toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))) {
    const peer = object.metadata.name;
    try {
      const primary = readPrimary(object.spec, own, claimed, choice);
      const hops: PeerHop[] = [];
      for (const rail of listRails(object.spec))
        try {
          const hop = readHop(rail, own, claimed, choice);
          if (hop && !hops.some((other) => other.rail === hop.rail)) hops.push(hop);
        } catch (error) {
          refused.push({ peer, rail: `${rail?.name}`, why: (error as Error).message });
        }
      const networks = pods?.byPeer.get(peer);
      if (hops.length > 0) peers.push({ node: peer, primary, hops: weighed(hops), ...(networks && { networks }) });
      else refused.push({ peer, why: "it has no rail in common with this node" });
    } catch (error) {
      refused.push({ peer, why: (error as Error).message });
    }
  }
  return { peers, refused };
}

const MAX_RAILS = 16;
const listRails = ({ rails }: RailPeerSpec): readonly RailPeerRail[] =>
  Array.isArray(rails) ? rails.slice(0, MAX_RAILS) : [];

/** How many claim a primary address, or an address of a rail. What is no address counts for nobody. */
function claims(objects: readonly RailPeer[]): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  const count = (key: string) => counts.set(key, (counts.get(key) ?? 0) + 1);
  for (const { spec } of objects) {
    const keys = [`${spec?.primary}`, ...(spec ? listRails(spec) : []).map((rail) => `${rail?.name} ${rail?.address}`)];
    for (const key of new Set(keys)) count(key);
  }
  return counts;
}

type Claims = ReadonlyMap<string, number>;

function readPrimary(spec: RailPeerSpec, own: OwnNode, claimed: Claims, { exclude }: PeerChoice): string {
  const primary = readUnicast("primary", spec?.primary);
  if (claimed.get(primary)! > 1) throw new Error(`primary ${primary}: another RailPeer has it, too`);
  if (own.identity.primary === primary || own.reserved.includes(primary))
    throw new Error(`primary ${primary}: it is this node's own, or its gateway's`);
  const rail = own.identity.rails.find(({ address }) => contains(address, primary));
  if (rail) throw new Error(`primary ${primary}: it is in the network of ${rail.name}, where nothing is to be bent`);
  const why = exclude.find((cidr) => contains(cidr, primary));
  if (why) throw new Error(`primary ${primary}: it is excluded by ${why}`);
  return primary;
}

/** @returns undefined for a rail that this node does not have. */
function readHop(rail: RailPeerRail, own: OwnNode, claimed: Claims, { weights }: PeerChoice): PeerHop | undefined {
  const ours = own.identity.rails.find(({ name }) => name === rail?.name);
  if (!ours) return undefined;
  const ip = readUnicast("address", `${rail.address}`.split("/")[0]);
  if (claimed.get(`${rail.name} ${rail.address}`)! > 1) throw new Error(`address ${ip}: another RailPeer has it, too`);
  if (!contains(ours.address, ip))
    throw new Error(`address ${ip}: it is not in the network of this node's ${ours.address}`);
  if (own.reserved.includes(ip)) throw new Error(`address ${ip}: it is this node's own, or its gateway's`);
  if (rail.mtu < ours.mtu) throw new Error(`mtu ${rail.mtu}: this node's is ${ours.mtu}: give both the same`);
  const speed = Math.min(rail.speed ?? Number.POSITIVE_INFINITY, ours.speed ?? Number.POSITIVE_INFINITY);
  const isKnown = weights === "speed" && Number.isFinite(speed) && speed > 0;
  return { rail: rail.name, ip, mac: readMac(rail.mac, ours.mac), weight: isKnown ? speed : 0 };
}

/** One that a host can have. @returns its canonical text. */
function readUnicast(field: string, value: unknown): string {
  const bytes = typeof value === "string" && /^[\d.]{7,15}$/.test(value) ? ipBytes(value) : undefined;
  if (!bytes) throw new Error(`${field} ${JSON.stringify(value)}: want an IPv4 address`);
  const [first, second] = [bytes[0]!, bytes[1]!];
  const isHosts = first > 0 && first < 224 && first !== 127 && !(first === 169 && second === 254);
  if (!isHosts) throw new Error(`${field} ${value}: it is no host's address`);
  return ipText(bytes);
}

function readMac(value: unknown, own: string): string {
  const bytes = typeof value === "string" && value.length === 17 ? macBytes(value) : undefined;
  if (!bytes || (bytes[0]! & 1) === 1 || bytes.every((byte) => byte === 0))
    throw new Error(`mac ${JSON.stringify(value)}: want one of a host's link, such as 02:00:00:00:00:07`);
  const mac = macText(bytes);
  if (mac === own) throw new Error(`mac ${mac}: it is this node's own`);
  return mac;
}

/** Whether a network has an address; one without length is an address alone. Of other families nothing. */
function contains(cidr: string, ip: string): boolean {
  const { bytes: network, bits } = splitCidr(cidr);
  const bytes = ipBytes(ip);
  if (network.length !== bytes.length) return false;
  return network.every((byte, i) => {
    const mask = 0xff & ~(0xff >> Math.min(8, Math.max(0, bits - i * 8)));
    return (byte & mask) === (bytes[i]! & mask);
  });
}

/** A sixteenth of the fastest is the least; what nobody knows is as fast as the fastest. */
function weighed(hops: readonly PeerHop[]): PeerHop[] {
  const fastest = Math.max(...hops.map(({ weight }) => weight));
  const isEven = hops.every(({ weight }) => weight === 0 || weight === fastest);
  return hops.map((hop) => ({
    ...hop,
    weight: isEven ? 1 : Math.max(1, Math.round(((hop.weight || fastest) * 16) / fastest)),
  }));
}
