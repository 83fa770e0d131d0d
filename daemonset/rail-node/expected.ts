import type { Expectations, RailNetwork } from "../rail-network/object.ts";
import type { RailNode } from "./object.ts";

/** A pinned value in the form of a fact (facts.ts); undefined: not pinned. */
const PINNED: Readonly<Record<string, (expect: Expectations) => string | undefined>> = {
  speed: ({ speedGbps }) => (speedGbps === undefined ? undefined : `${speedGbps * 1000} Mb/s`),
  MTU: ({ linkMtu }) => linkMtu?.toString(),
  "RoCE MTU": ({ roceMtu }) => roceMtu?.toString(),
  trust: ({ trust }) => trust,
  PFC: ({ pfc }) => priorities(pfc),
  ECN: ({ ecn }) => priorities(ecn),
  firmware: ({ firmware }) => firmware,
};

const priorities = (list: readonly number[] | undefined): string | undefined =>
  list && (list.toSorted((a, b) => a - b).join(",") || "off");

/** What a rail of a node should have according to its RailNetwork; undefined: not pinned. */
export type ExpectedOf = (node: RailNode, rail: string, fact: string) => string | undefined;

/** From `spec.expect` of RailNetworks: of those that a node follows, the first with a rail of that name decides. Pure. */
export function expectedBy(networks: readonly RailNetwork[]): ExpectedOf {
  const byName = new Map(networks.map((one) => [one.metadata.name, one]));
  const hasRail = (network: string, rail: string) =>
    byName.get(network)?.spec?.rails?.some(({ name }) => name === rail) ?? false;
  return ({ status }, rail, fact) => {
    const network = status?.networks.find((one) => hasRail(one, rail));
    const expect = network === undefined ? undefined : byName.get(network)!.spec.expect;
    return expect && PINNED[fact]?.(expect);
  };
}
