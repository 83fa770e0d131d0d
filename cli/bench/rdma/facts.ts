import type { RailNode, RailReport } from "../../../daemonset/rail-node/object.ts";
import type { MeasuredEnd } from "./measure-plan.ts";
import type { BenchEnd, EndRail } from "./results.ts";
import type { Survey } from "./survey.ts";
import { addressOn } from "./survey.ts";

/** A rail of a RailNode by a network's name: `rail0`, or `ishikari-rail0` as a RailNetwork's is called. */
export function reportOf(node: RailNode | undefined, rail: string): RailReport | undefined {
  const reports = node?.status?.rails ?? [];
  return reports.find(({ name }) => name === rail) ?? reports.find(({ name }) => rail.endsWith(`-${name}`));
}

export interface EndFacts {
  readonly name: string;
  readonly node: string;
  readonly topology: Readonly<Record<string, string>>;
  readonly railNode: RailNode | undefined;
  /** As it was measured, before and after; absent where it could not take part. */
  readonly end?: MeasuredEnd;
  readonly after?: Survey;
  readonly error?: string;
}

/** What is known of an end: by its own kernel, and of its PF by its node's agent. */
export function benchEnd(
  { name, node, topology, railNode, end, after, error }: EndFacts,
  rails: readonly string[],
): BenchEnd {
  const { kernel, perftest } = end?.survey ?? {};
  return {
    name,
    node,
    ...(kernel && { kernel }),
    ...(perftest && { perftest }),
    ...(Object.keys(topology).length > 0 && { topology }),
    rails: Object.fromEntries(rails.map((rail) => [rail, { ...(end && ofSurvey(end, after, rail)), ...ofReport(reportOf(railNode, rail)) }])), // biome-ignore format: one row
    ...(error && { error }),
  };
}

function ofSurvey({ survey, rails }: MeasuredEnd, after: Survey | undefined, rail: string): EndRail {
  const link = rails.get(rail);
  if (!link) return {};
  const address = addressOn(survey, link);
  const gid = survey.gids.find((one) => one.link === link && one.address === address && one.type === "RoCE v2");
  const { mtu, speed } = survey.links.get(link) ?? {};
  const port = gid && `${gid.device} ${gid.port}`;
  const portState = port && survey.ports.get(port);
  const grown = port ? growth(survey.counters.get(port), after?.counters.get(port)) : {};
  return {
    link,
    ...(address && { address }),
    ...(gid && { device: gid.device, gidIndex: gid.index }),
    ...(mtu && { linkMtu: mtu }),
    ...(speed && { speed }),
    ...(portState && { portState }),
    ...(Object.keys(grown).length > 0 && { grown }),
  };
}

function growth(before: Readonly<Record<string, number>> = {}, after: Readonly<Record<string, number>> = {}) {
  const grown = Object.entries(after).map(([name, value]) => [name, value - (before[name] ?? value)] as const);
  return Object.fromEntries(grown.filter(([, by]) => by > 0));
}

/** The PF's speed is what its VFs can have: a VF's own link often says none. */
const ofReport = (report: RailReport | undefined): EndRail => ({
  ...(report?.speed && { speed: report.speed }),
  ...(report?.pcie && { pcie: `${report.pcie.speed} x${report.pcie.width}` }),
  ...(report?.firmware && { firmware: report.firmware }),
});
