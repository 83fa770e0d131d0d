import type { Comparison } from "../../daemonset/rail-node/drift.ts";
import { linesOf } from "../../daemonset/rail-node/drift-words.ts";
import { CONDITION, type RailNode } from "../../daemonset/rail-node/object.ts";
import { count, table } from "../table.ts";

/** A node whose agent reports that its rails are not ready. */
export interface NotReady {
  readonly node: string;
  readonly reason: string;
  readonly message: string;
}

/** Pure. */
export const notReady = (nodes: readonly RailNode[]): NotReady[] =>
  nodes.flatMap(({ metadata: { name: node }, status }) => {
    const ready = status?.conditions?.[CONDITION.RailsReady];
    return ready?.status === "False" ? [{ node, reason: ready.reason, message: ready.message }] : [];
  });

/** For people. @param all shows what is the same everywhere, too. Pure. */
export function reportNodes(answer: Comparison & { readonly notReady: readonly NotReady[] }, all: boolean): string {
  const { nodes, withoutRails, odd, alike, notReady } = answer;
  if (nodes.length + withoutRails.length === 0) return "no node has reported: agents write RailNodes within a minute\n";
  const bare = withoutRails.length > 0 ? `; ${count(withoutRails.length, "node has", "nodes have")} no rails` : "";
  const facts = new Set(odd.map(({ rail, fact }) => `${rail} ${fact}`)).size;
  const head = `${count(nodes.length, "node")} with rails${bare}: ${alike.length} facts are the same on all, ${facts} ${facts === 1 ? "is" : "are"} not\n`;
  return [
    head,
    section("The odd ones out", linesOf(odd)),
    section("Not ready", notReady.map(({ node, message }) => `${node}: ${message}`)), // biome-ignore format: one row
    all ? `\n${ofAll(alike)}` : "",
  ].join("");
}

const section = (title: string, lines: readonly string[]): string =>
  lines.length > 0 ? `\n${title}:\n${lines.map((line) => `  ${printable(line)}\n`).join("")}` : "";

/** Text from others may contain control characters, which would move a terminal's cursor. */
const printable = (line: string): string => line.replace(/[\x00-\x1f\x7f-\x9f]/g, "?");

const ofAll = (alike: Comparison["alike"]): string =>
  table(
    [
      { title: "RAIL", of: ({ rail }) => rail },
      { title: "FACT", of: ({ fact }) => fact },
      { title: "ON ALL", of: ({ value }) => value },
      { title: "NODES", of: ({ count }) => count, isNumber: true },
    ],
    alike,
  );
