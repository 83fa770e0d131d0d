import type { JsonPatch } from "../../kubernetes/cluster.ts";
import { ownerOfRecord, type PoolRecord, toRecord } from "../../whereabouts/objects.ts";
import { isSameInterface, takesOver } from "../holding.ts";
import type { Claim, Owner, Released } from "../store.ts";

/** What the record of one address shall become: the owner's, or none. */
export interface Change {
  readonly kind: "write" | "remove";
  readonly key: string;
  readonly owner: Owner;
  /** Of the claim: a record says no UID. */
  readonly isOver?: NonNullable<Claim["isOver"]>;
}

/** How a change ended. */
export type Outcome =
  | { readonly kind: "written" }
  | { readonly kind: "held"; readonly owner: Owner }
  | { readonly kind: "removed"; readonly outcome: Released; readonly holder?: Owner };

const path = ({ key }: Change): string => `/spec/allocations/${key}`;

/** Operations that make the change, and that fail if anything is not as it is remembered. */
export function operations(change: Change, remembered: PoolRecord | undefined): JsonPatch {
  const { kind, owner } = change;
  const at = path(change);
  const isOf = (containerId: string) =>
    [
      { op: "test", path: `${at}/podref`, value: owner.podref },
      { op: "test", path: `${at}/ifname`, value: owner.ifname },
      { op: "test", path: `${at}/id`, value: containerId },
    ] as const;
  if (kind === "remove") return [...isOf(owner.containerId), { op: "remove", path: at }];
  if (!remembered || !takesOver(ownerOfRecord(remembered), change))
    return [
      { op: "test", path: at, value: null },
      { op: "add", path: at, value: toRecord(owner) },
    ];
  return [...isOf(remembered.id), { op: "replace", path: `${at}/id`, value: owner.containerId }];
}

/** The end of a change, as far as the record that is there now settles it; undefined: it is still to be made. */
export function settled(change: Change, there: PoolRecord | undefined): Outcome | undefined {
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

/** The end of a change that the server has made. */
export const made = ({ kind }: Change): Outcome =>
  kind === "write" ? { kind: "written" } : { kind: "removed", outcome: "released" };
