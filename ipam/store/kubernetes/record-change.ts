import type { JsonPatch } from "../../../kubernetes/cluster.ts";
import { ownerOfRecord, type PoolRecord, toRecord } from "../../whereabouts/objects.ts";
import { addition, handOver, removal } from "../../whereabouts/record-patch.ts";
import { isSameInterface, takesOver } from "../holding.ts";
import type { Claim, Owner, Released } from "../store.ts";

/** What the record of one address is to become: the owner's, or none. */
export interface RecordChange {
  readonly kind: "write" | "remove";
  readonly key: string;
  readonly owner: Owner;
  /** From the claim: a record has no UID. */
  readonly isOver?: NonNullable<Claim["isOver"]>;
}

/** The outcome of a change. */
export type PatchOutcome =
  | { readonly kind: "written" }
  | { readonly kind: "held"; readonly owner: Owner }
  | { readonly kind: "removed"; readonly outcome: Released; readonly holder?: Owner };

/** Operations that make the change, and that fail if anything differs from the cached state. */
export function operations(change: RecordChange, remembered: PoolRecord | undefined): JsonPatch {
  const { kind, key, owner } = change;
  const own = toRecord(owner);
  if (kind === "remove") return removal(key, own, "all");
  const isTaken = remembered && takesOver(ownerOfRecord(remembered), change);
  return isTaken ? handOver(key, remembered, own.id) : addition(key, own);
}

/** The outcome of a change, if the current record settles it; undefined: it has still to be made. */
export function settled(change: RecordChange, there: PoolRecord | undefined): PatchOutcome | undefined {
  const { kind, owner } = change;
  const holder = there && ownerOfRecord(there);
  const isOwn = !!holder && isSameInterface(holder, owner) && holder.containerId === owner.containerId;
  if (kind === "write") {
    if (isOwn) return { kind: "written" };
    return holder && !takesOver(holder, change) ? { kind: "held", owner: holder } : undefined;
  }
  if (isOwn) return undefined;
  return { kind: "removed", ...(holder ? { outcome: "foreign", holder } : { outcome: "absent" }) };
}

/** The outcome of a change that the server has made. */
export const made = ({ kind }: RecordChange): PatchOutcome =>
  kind === "write" ? { kind: "written" } : { kind: "removed", outcome: "released" };
