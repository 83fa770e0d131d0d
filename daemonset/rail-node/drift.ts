import type { ExpectedOf } from "./expected.ts";
import { type Fact, factsOf } from "./facts.ts";
import type { RailNode } from "./object.ts";

/** Nodes that differ from the others in one fact. */
export interface Odd extends Fact {
  /** In order. */
  readonly nodes: readonly string[];
  /** What most of the others have; empty for what must differ from node to node (MAC, address). */
  readonly usual: string;
  readonly usualNodes: number;
  /** The usual value is the one pinned by a RailNetwork, whoever has it. */
  readonly isExpected?: true;
}

/** The compared nodes, and their differences. */
export interface Comparison {
  /** Nodes that were compared: those that have, or should have, rails. */
  readonly nodes: readonly string[];
  /** Nodes without any rail, if no RailNetwork says that they have some: they are not compared. */
  readonly withoutRails: readonly string[];
  /** Facts that are the same on all nodes of a kind that have them. */
  readonly alike: readonly (Fact & { readonly count: number })[];
  readonly odd: readonly Odd[];
}

/**
 * Groups nodes by every fact: a value that fewer nodes have than another is odd; if equally many have it, the first in order
 * counts as usual. Nodes of different RailNetworks are of different kinds, and not compared with each other. If a
 * RailNetwork pins a value, that is the usual one, and any other is odd, on all nodes if need be. Pure.
 *
 * @param ignored names of facts that are left out.
 */
export function compare(
  all: readonly RailNode[],
  ignored: ReadonlySet<string> = new Set(),
  expectedOf: ExpectedOf = () => undefined,
): Comparison {
  const reported = all.filter(({ status }) => status !== undefined).toSorted(byName);
  const isCompared = ({ status }: RailNode) => status!.rails.length > 0 || status!.networks.length > 0;
  const nodes = reported.filter(isCompared);
  const kinds = [...Map.groupBy(nodes, ({ status }) => status!.networks.join(" ")).values()];
  const groups = kinds.flatMap((kind) => groupsOf(kind, ignored, expectedOf));
  return {
    nodes: nodes.map(nameOf),
    withoutRails: reported.filter((node) => !isCompared(node)).map(nameOf),
    alike: groups
      .filter(({ values, expected }) => values.size === 1 && (expected === undefined || values.has(expected)))
      .map(({ rail, fact, values }) => {
        const [[value, names]] = [...values] as [[string, string[]]];
        return { rail, fact, value, count: names.length };
      }),
    odd: [...groups.flatMap(oddOf), ...shared(nodes, ignored)],
  };
}

/** One fact with its values, and who has each. */
interface Group {
  readonly rail: string;
  readonly fact: string;
  readonly values: Map<string, string[]>;
  /** Pinned; the same for all nodes of a kind. */
  readonly expected?: string;
}

function groupsOf(nodes: readonly RailNode[], ignored: ReadonlySet<string>, expectedOf: ExpectedOf): Group[] {
  const groups = new Map<string, Group>();
  for (const node of nodes) {
    const isPinned = (rail: string, fact: string) => expectedOf(node, rail, fact) !== undefined;
    for (const { rail, fact, value } of [...presence(node, nodes), ...factsOf(node, isPinned)]) {
      if (ignored.has(fact)) continue;
      const key = JSON.stringify([rail, fact]);
      const group = groups.get(key) ?? newGroup(rail, fact, expectedOf(node, rail, fact));
      groups.set(key, group);
      group.values.set(value, [...(group.values.get(value) ?? []), nameOf(node)]);
    }
  }
  return [...groups.values()];
}

const newGroup = (rail: string, fact: string, expected: string | undefined): Group => ({
  ...{ rail, fact, values: new Map() },
  ...(expected !== undefined && { expected }),
});

/** For every rail that some node of the kind has: whether this one has it. */
function presence({ status }: RailNode, nodes: readonly RailNode[]): Fact[] {
  const has = new Set(status!.rails.map(({ name }) => name));
  return [...railsOf(nodes)].map((rail) => ({ rail, fact: "rail", value: has.has(rail) ? "here" : "absent" }));
}

const known = new WeakMap<readonly RailNode[], ReadonlySet<string>>();

function railsOf(nodes: readonly RailNode[]): ReadonlySet<string> {
  const rails =
    known.get(nodes) ?? new Set(nodes.flatMap(({ status }) => status!.rails.map(({ name }) => name)).sort());
  known.set(nodes, rails);
  return rails;
}

function oddOf({ rail, fact, values, expected }: Group): Odd[] {
  if (expected !== undefined) {
    const usualNodes = values.get(expected)?.length ?? 0;
    return [...values]
      .filter(([value]) => value !== expected)
      .map(([value, nodes]) => ({ rail, fact, value, nodes, usual: expected, usualNodes, isExpected: true }));
  }
  const [usual, ...others] = [...values].sort(([a, some], [b, more]) => more.length - some.length || (a < b ? -1 : 1));
  return others.map(([value, nodes]) => ({
    rail,
    fact,
    value,
    nodes,
    usual: usual![0],
    usualNodes: usual![1].length,
  }));
}

/** What two ports have and only one may: a copied MAC, an address entered twice. */
function shared(nodes: readonly RailNode[], ignored: ReadonlySet<string>): Odd[] {
  const owners = new Map<string, { fact: string; value: string; nodes: string[]; rails: Set<string> }>();
  for (const node of nodes)
    for (const { fact, value, rail } of ownOf(node)) {
      const key = `${fact} ${value}`;
      const one = owners.get(key) ?? { fact, value, nodes: [], rails: new Set<string>() };
      owners.set(key, one);
      one.nodes.push(nameOf(node));
      one.rails.add(rail);
    }
  return [...owners.values()]
    .filter(({ fact, nodes }) => nodes.length > 1 && !ignored.has(fact))
    .map(({ fact, value, nodes, rails }) => ({
      rail: [...rails].join(","),
      fact,
      value,
      nodes: [...new Set(nodes)],
      usual: "",
      usualNodes: 0,
    }));
}

/** Rails that share a PF have its MAC and addresses once. */
function ownOf({ status }: RailNode): Fact[] {
  const ports = new Map(status!.rails.map((rail) => [rail.pci, rail]));
  return [...ports.values()].flatMap(({ name: rail, mac, addresses = [] }) => [
    ...(mac ? [{ rail, fact: "MAC", value: mac }] : []),
    ...addresses.map((cidr) => ({ rail, fact: "address", value: cidr.split("/", 1)[0]! })),
  ]);
}

const nameOf = ({ metadata: { name } }: RailNode): string => name;

/** `node-2` before `node-10`. */
const byName = (a: RailNode, b: RailNode): number =>
  COLLATOR.compare(nameOf(a), nameOf(b)) || (nameOf(a) < nameOf(b) ? -1 : 1);
const COLLATOR = new Intl.Collator("en", { numeric: true });
