import { isDeepStrictEqual } from "node:util";
import type { JsonPatch } from "../../kubernetes/cluster.ts";
import { CONDITION, type RailNodeStatus } from "./object.ts";

type Operation = JsonPatch[number];

/**
 * Turns the stored report into the present one, and nothing more: a kilobyte for four ports that flap. Only the agent of a
 * node writes it, except for the condition `Drift`, which is not touched; the tests at the beginning fail if another wrote.
 *
 * @returns undefined if nothing differs. Pure.
 */
export function patchOf(before: RailNodeStatus, after: RailNodeStatus, uid: string): JsonPatch | undefined {
  const operations = [
    ...ofMember("/status/node", before.node, after.node),
    ...ofMember("/status/summary", before.summary, after.summary),
    ...whole("/status/networks", before.networks, after.networks),
    ...whole("/status/absent", before.absent, after.absent),
    ...whole("/status/repairs", before.repairs, after.repairs),
    ...ofRails(before.rails, after.rails),
    ...ofReadiness(before, after),
  ];
  if (operations.length === 0) return undefined;
  return [{ op: "test", path: "/metadata/uid", value: uid }, ...operations];
}

function ofRails(before: RailNodeStatus["rails"], after: RailNodeStatus["rails"]): Operation[] {
  const names = (rails: RailNodeStatus["rails"]) => rails.map(({ name }) => name);
  if (!isDeepStrictEqual(names(before), names(after))) return whole("/status/rails", before, after);
  return after.flatMap((rail, i) => {
    const changes = ofMember(`/status/rails/${i}`, before[i]!, rail);
    const path = `/status/rails/${i}/name`;
    return changes.length > 0 ? [{ op: "test" as const, path, value: rail.name }, ...changes] : [];
  });
}

function ofReadiness({ conditions: [before] }: RailNodeStatus, { conditions: [after] }: RailNodeStatus): Operation[] {
  const path = `/status/conditions/${CONDITION.RailsReady}`;
  if (isDeepStrictEqual(before, after)) return [];
  return [
    { op: "test", path: `${path}/type`, value: "RailsReady" },
    { op: "replace", path, value: after },
  ];
}

/** Member by member of an object. */
function ofMember(path: string, before: object, after: object): Operation[] {
  const [old, now] = [before, after] as Readonly<Record<string, unknown>>[];
  const gone = Object.keys(old!).filter((key) => now![key] === undefined);
  return [
    ...gone.map((key): Operation => ({ op: "remove", path: `${path}/${key}` })),
    ...Object.keys(now!).flatMap((key) => whole(`${path}/${key}`, old![key], now![key])),
  ];
}

/** `add` of an existing member replaces its value (RFC 6902). */
const whole = (path: string, before: unknown, after: unknown): Operation[] =>
  after === undefined || isDeepStrictEqual(before, after) ? [] : [{ op: "add", path, value: after }];
