import type { Located } from "../addresses.ts";
import type { Reserving } from "../snapshot.ts";

/**
 * - `duplicate`: one address, two living owners.
 * - `orphan`: the pod that has it is gone, has finished, or is another one of the same name.
 * - `lost`: a running pod uses it and no reservation says so.
 * - `unreserved`: a running pod's record without a reservation.
 * - `unrecorded`: beside a running Whereabouts, a running pod's reservation without a record: Whereabouts may give it out.
 * - `stranger`: not a pod's address: keys that are not offsets, foreign podrefs, records without interface.
 */
export type Kind = "duplicate" | "orphan" | "lost" | "unreserved" | "unrecorded" | "stranger";

/** Who has an address, and the evidence. */
export interface AuditOwner {
  readonly podref: string;
  /** Empty in records of Whereabouts before 0.8. */
  readonly ifname: string;
  readonly containerId: string;
  /** Empty if unknown. */
  readonly node: string;
  readonly by: "reservation" | "record" | "pod";
  /** Why its pod no longer needs an address; empty while it may. */
  readonly over: string;
  /** Whether a pod of that name exists. */
  readonly podExists: boolean;
}

/**
 * What `--fix` would do. `free`: reservation and records are deleted; `reserve`: a reservation is created; `record`: a pool
 * record is created; `none`: it is left to somebody else.
 */
export type Fix = "free" | "reserve" | "record" | "none";

export interface AuditFinding {
  readonly kind: Kind;
  /** Empty if there is no valid address. */
  readonly ip: string;
  readonly network: string;
  /** Names of pools; may be empty. */
  readonly pools: readonly string[];
  readonly owners: readonly AuditOwner[];
  readonly why: string;
  readonly fix: Fix;
  /** What --fix does about it, or what a person can do. */
  readonly advice: string;
  /** The objects behind it in the cluster; --fix acts on these and no others. */
  readonly reservation?: Reserving;
  readonly records: readonly Located[];
}

/** The same for two looks at the same thing. */
export const identity = ({ kind, ip, network, owners, why }: AuditFinding): string =>
  JSON.stringify([kind, network, ip || why, ...owners.map((o) => [o.podref, o.ifname, o.containerId, o.by])]);
