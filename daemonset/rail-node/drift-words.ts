import type { Odd } from "./drift.ts";

/** Maximum number of names in a line; more are counted. */
const MAX_NAMES = 8;

/** A difference, reported once for all rails on which it is the same. */
interface OddOnRails extends Omit<Odd, "rail"> {
  readonly rails: readonly string[];
}

/** `server-35 alone: firmware 28.39.1002 on rail0, 61 others 28.41.1000`, one line each, fewest nodes first. Pure. */
export const linesOf = (odd: readonly Odd[]): string[] =>
  together(odd)
    .toSorted((a, b) => a.nodes.length - b.nodes.length)
    .map((one) => `${who(one.nodes)}: ${what(one)}, ${others(one)}`);

/** The same for one node: `firmware 28.39.1002 on rail0, 61 others 28.41.1000; …`. Empty if it is like the others. Pure. */
export const ofNode = (odd: readonly Odd[], node: string): string =>
  together(odd.filter(({ nodes }) => nodes.includes(node)))
    .map((one) => `${what(one)}, ${others(one)}`)
    .join("; ");

function together(odd: readonly Odd[]): OddOnRails[] {
  const same = Map.groupBy(odd, ({ fact, value, nodes, usual }) => JSON.stringify([fact, value, nodes, usual]));
  return [...same.values()].map((some) => {
    const { rail: _, ...rest } = some[0]!;
    const usualNodes = Math.min(...some.map((one) => one.usualNodes)); // a node may lack one of the rails
    return { ...rest, usualNodes, rails: some.map(({ rail }) => rail).filter(Boolean) };
  });
}

function what({ fact, value, rails }: OddOnRails): string {
  if (fact === "rail") return `${rails.join(", ")} ${value}`;
  return `${fact} ${value}${rails.length > 0 ? ` on ${rails.join(", ")}` : ""}`;
}

const others = ({ usual, usualNodes, isExpected }: OddOnRails): string =>
  isExpected
    ? `expected ${usual}`
    : usualNodes === 0
      ? "which one port may have"
      : `${usualNodes} ${usualNodes === 1 ? "other" : "others"} ${usual}`;

function who(nodes: readonly string[]): string {
  if (nodes.length === 1) return `${nodes[0]} alone`;
  const named = nodes.slice(0, MAX_NAMES).join(", ");
  return nodes.length > MAX_NAMES ? `${named} and ${nodes.length - MAX_NAMES} more` : named;
}
