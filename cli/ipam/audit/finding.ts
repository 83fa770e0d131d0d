import type { Located } from "../addresses.ts";
import type { Reserving } from "../snapshot.ts";

/**
 * - `duplicate`: one address, two living owners.
 * - `orphan`: the pod that has it is gone, has finished, or is another one of the same name.
 * - `lost`: a living pod uses it and no reservation says so.
 * - `unreserved`: a living pod's record without a reservation.
 * - `unrecorded`: beside a live Whereabouts, a living pod's reservation without a record: Whereabouts may give it out.
 * - `stranger`: what no pod's address is: keys that are no offset, foreign podrefs, records without interface.
 */
export type Kind = "duplicate" | "orphan" | "lost" | "unreserved" | "unrecorded" | "stranger";

/** Who has an address, and what says so. */
export interface AuditOwner {
  readonly podref: string;
  /** Empty in records of Whereabouts before 0.8. */
  readonly ifname: string;
  readonly containerId: string;
  /** Empty where nobody said it. */
  readonly node: string;
  readonly by: "reservation" | "record" | "pod";
  /** Why its pod needs no address any more; empty while it may. */
  readonly over: string;
  /** Whether there is a pod of that name, whichever. */
  readonly podExists: boolean;
}

/**
 * What `--fix` would do. `free`: reservation and records go; `reserve`: a reservation is made; `record`: a pool record
 * is made; `none`: it is for somebody else.
 */
export type Fix = "free" | "reserve" | "record" | "none";

export interface AuditFinding {
  readonly kind: Kind;
  /** Empty for what is no address. */
  readonly ip: string;
  readonly network: string;
  /** Names of pools; may be empty. */
  readonly pools: readonly string[];
  readonly owners: readonly AuditOwner[];
  readonly why: string;
  readonly fix: Fix;
  /** What --fix does about it, or what a person can. */
  readonly advice: string;
  /** What is said of it in the cluster; --fix acts on these and no others. */
  readonly reservation?: Reserving;
  readonly records: readonly Located[];
}

/** The same for two looks at the same thing. */
export const identity = ({ kind, ip, network, owners, why }: AuditFinding): string =>
  JSON.stringify([kind, network, ip || why, ...owners.map((o) => [o.podref, o.ifname, o.containerId, o.by])]);
