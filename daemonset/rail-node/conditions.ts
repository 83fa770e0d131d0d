import { type Condition, type RailNodeStatus, toTime } from "./object.ts";

/** What decides whether a node's rails are ready. */
export interface Readiness extends Pick<RailNodeStatus, "rails" | "absent" | "networks"> {
  /** Why the list of rails cannot be used; empty if it can. */
  readonly unusable: string;
  /** VFs that each rail's PF has and should have; 0: any number. Rails may share a PF, and have some of them. */
  /** Bytes that a RailNetwork wants pods to have, by rail. */
  readonly mtus: ReadonlyMap<string, number>;
  readonly counts: readonly { readonly rail: string; readonly has: number; readonly shall: number }[];
}

type Verdict = Pick<Condition, "status" | "reason" | "message">;

/** Messages are read in tables: their maximum length. */
const MESSAGE_MAX = 1000;

/**
 * `RailsReady`: every rail is there, has carrier and its VFs, and none of them is owed anything. A rail that this node lacks
 * is a fault if a RailNetwork selects the node; in the ConfigMap's list, which is the same for all nodes, it is not. Pure.
 */
export function railsReady(now: Readiness): Verdict {
  const { rails, absent, networks, unusable, counts, mtus } = now;
  if (unusable) return verdict("False", "ListUnusable", [unusable]);
  const missing = networks.length > 0 ? absent.map(({ rail, why }) => `${rail}: ${why}`) : [];
  const faults = [
    ["RailAbsent", missing],
    ["NoCarrier", rails.filter(({ carrier }) => !carrier).map(({ name, pf }) => `${name} (${pf}) has no carrier`)],
    ["VfsMissing", counts.filter(({ has, shall }) => shall > 0 && has !== shall).map(({ rail, has, shall }) => `${rail}: its PF has ${has} VFs of ${shall} configured`)], // biome-ignore format: one row
    ["MtuTooSmall", rails.filter(({ name, mtu }) => mtu !== undefined && mtu < (mtus.get(name) ?? 0)).map(({ name, pf, mtu }) => `${name}: ${pf} has MTU ${mtu}, but its pods are to have ${mtus.get(name)}: ip link set ${pf} mtu ${mtus.get(name)}`)], // biome-ignore format: one row
    ["VfsOwed", rails.filter(({ owed }) => owed > 0).map(({ name, owed }) => `${name}: ${owed} of its VFs are not fully restored`)], // biome-ignore format: one row
  ] as const;
  const found = faults.filter(([, messages]) => messages.length > 0);
  if (found.length > 0)
    return verdict(
      "False",
      found[0]![0],
      found.flatMap(([, messages]) => messages),
    );
  if (rails.length === 0) return verdict("True", "NoRails", ["this node has none of the configured rails"]);
  return verdict("True", "AllReady", []);
}

const verdict = (status: Verdict["status"], reason: string, messages: readonly string[]): Verdict => ({
  status,
  reason,
  message: messages.join("; ").slice(0, MESSAGE_MAX),
});

/** The condition to write: its time is when the status last changed. Pure. */
export function toCondition(
  type: Condition["type"],
  now: Verdict,
  before: Condition | undefined,
  nowMs: number,
): Condition {
  const isSame = before?.type === type && before.status === now.status;
  return { type, ...now, lastTransitionTime: isSame ? before.lastTransitionTime : toTime(nowMs) };
}

/** Before a leader has compared the nodes. */
export const NOT_COMPARED: Verdict = {
  status: "Unknown",
  reason: "NotCompared",
  message: "the leader compares all nodes once in ten minutes",
};
