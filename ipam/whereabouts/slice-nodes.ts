import {
  findSpan,
  firstAtOrAfter,
  inSpan,
  mergeSpans,
  parseCidr,
  type Span,
  spanOf,
  toText,
  widthOf,
} from "../address.ts";
import { candidates } from "../allocate.ts";
import { hasHosts, type Range } from "../range.ts";
import type { NodeSlicePool } from "./objects.ts";
import { withinKeys } from "./record-keys.ts";
import { cut, divideRange, readSliceSize } from "./slices.ts";

/** One entry of `NodeSlicePool.status.allocations`. An empty nodeName: free. */
export type NodeSlice = NonNullable<NodeSlicePool["status"]>["allocations"][number];

/** The state of a network that is divided into slices. */
export interface SliceState {
  /** The whole range, as configured. */
  readonly range: Range;
  readonly cidr: string;
  readonly sliceSize: string;
  /** The entries so far, whatever range and size they were made with. */
  readonly before: readonly NodeSlice[];
  /** Names of the existing nodes. */
  readonly nodes: readonly string[];
  /** Whether a pod has an address of this slice. */
  readonly isInUse: (sliceRange: string) => boolean;
  /** The slice that a node had before it went away, from the names of its IPPools: it gets it back if it is free. */
  readonly formerSlice?: (node: string) => string | undefined;
}

/** A NodeSlicePool with more entries would grow too large for etcd; with more slices only as many as needed are listed. */
const MAX_LISTED = 4_096;

/**
 * Gives every node a slice. Like Whereabouts' controller: in the order of the addresses, to nodes in the order of their
 * names. Unlike there, a slice stays its node's while an address in it is in use, even if the node is gone or range and
 * size have changed; a slice whose addresses are all excluded is given to nobody; IPv6 works.
 *
 * @returns `without`: nodes for which none was left.
 * @throws {CniError} what divideRange() throws.
 */
export function assignSlices(state: SliceState): { readonly allocations: NodeSlice[]; readonly without: string[] } {
  const kept = keptSlices(state);
  const waiting = state.nodes.filter((node) => !sliceOfNode(kept, node, state.range)).sort();
  const listed = [...kept, ...freeSlices(state, kept, waiting.length)].sort(byAddress);
  const without: string[] = [];
  const given = new Map<string, string>();
  const isFree = ({ nodeName, sliceRange }: NodeSlice) => nodeName === "" && !given.has(sliceRange);
  const usable = listed.filter((slice) => isFree(slice) && isUsable(state.range, slice.sliceRange));
  for (const [node, former] of waiting.map((node) => [node, state.formerSlice?.(node)] as const).sort(formerFirst)) {
    const slice = usable.find((one) => isFree(one) && one.sliceRange === former) ?? usable.find(isFree);
    if (slice) given.set(slice.sliceRange, node);
    else without.push(node);
  }
  const allocations = listed.map(({ nodeName, sliceRange }) => ({
    nodeName: given.get(sliceRange) ?? nodeName,
    sliceRange,
  }));
  return { allocations, without };
}

/** The slice of a node from which addresses of a range can come. */
export const sliceOfNode = (slices: readonly NodeSlice[], node: string, range: Range): string | undefined =>
  slices.find(({ nodeName, sliceRange }) => nodeName === node && isUsable(range, sliceRange))?.sliceRange;

/** Nodes that had a slice choose first. */
const formerFirst = ([, a]: readonly [string, string | undefined], [, b]: readonly [string, string | undefined]) =>
  Number(a === undefined) - Number(b === undefined);

function keptSlices({ range, cidr, sliceSize, before, nodes, isInUse }: SliceState): NodeSlice[] {
  const [network, bits] = [spanOf(parseCidr(cidr)!), sliceSize.replace("/", "")];
  const isOfGrid = (slice: string) => slice.endsWith(`/${bits}`) && inSpan(spanOfSlice(slice).first, network);
  return before.filter(
    ({ nodeName, sliceRange }) =>
      nodeName !== "" &&
      parseCidr(sliceRange)?.isV6 === range.isV6 &&
      (isInUse(sliceRange) || (isOfGrid(sliceRange) && nodes.includes(nodeName))),
  );
}

/** What the range has besides the kept slices; if there are too many to list, as many as wanted. */
function freeSlices(state: SliceState, kept: readonly NodeSlice[], wanted: number): NodeSlice[] {
  const taken = mergeSpans(kept.map(({ sliceRange }) => spanOfSlice(sliceRange)));
  const limit = Math.max(MAX_LISTED - kept.length, wanted);
  const free: NodeSlice[] = [];
  for (const sliceRange of isLong(state) ? usableSlices(state, taken) : divideRange(state.cidr, state.sliceSize)) {
    if (free.length >= limit) break;
    const span = spanOfSlice(sliceRange);
    const next = taken[firstAtOrAfter(taken, span.first)];
    if (!next || next.first > span.last) free.push({ nodeName: "", sliceRange });
  }
  return free;
}

function isLong({ cidr, sliceSize }: SliceState): boolean {
  const bits = readSliceSize(sliceSize, cidr) - parseCidr(cidr)!.prefixBits;
  return 2 ** bits > MAX_LISTED;
}

/**
 * The slices of a long network that contain an address, in order: what is out of bounds, excluded or taken is skipped,
 * since thousands of slices that nobody can use may come first.
 */
function* usableSlices({ range, cidr, sliceSize }: SliceState, taken: readonly Span[]): Generator<string> {
  const hostBits = BigInt(widthOf(range.isV6) - readSliceSize(sliceSize, cidr));
  for (let from = range.first; from <= range.last; ) {
    const address = candidates({ ...range, first: from }, (at) => findSpan(taken, at) ?? false).next().value;
    if (typeof address !== "bigint") return;
    const value = (address >> hostBits) << hostBits;
    const sliceRange = `${toText({ isV6: range.isV6, value })}/${widthOf(range.isV6) - Number(hostBits)}`;
    if (isUsable(range, sliceRange)) yield sliceRange;
    from = value + (1n << hostBits);
  }
}

const spanOfSlice = (sliceRange: string): Span => spanOf(parseCidr(sliceRange)!);

function isUsable(range: Range, sliceRange: string): boolean {
  const cidr = parseCidr(sliceRange);
  return (
    cidr?.isV6 === range.isV6 && hasHosts(cidr) && !candidates(withinKeys(cut(range, cidr)), () => false).next().done
  );
}

function byAddress(a: NodeSlice, b: NodeSlice): number {
  const [first, second] = [spanOfSlice(a.sliceRange).first, spanOfSlice(b.sliceRange).first];
  return first < second ? -1 : Number(first > second);
}
