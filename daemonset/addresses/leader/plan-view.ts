import type { Owner } from "../../../ipam/store/store.ts";
import { type PoolRecord, toRecord } from "../../../ipam/whereabouts/objects.ts";
import { isNobody } from "../../../ipam/whereabouts/quarantine.ts";
import { isKey } from "../../../ipam/whereabouts/record-keys.ts";
import { addition, removal, replacement } from "../../../ipam/whereabouts/record-patch.ts";
import type { JsonPatch } from "../../../kubernetes/cluster.ts";

/** One record that changes: from its present state `from` to `to`. One of them may be missing. */
export interface ViewChange {
  readonly key: string;
  readonly from?: PoolRecord;
  readonly to?: PoolRecord;
}

export interface ViewPlan {
  /** Removals come first: they make room. */
  readonly changes: readonly ViewChange[];
  /** Records that no reservation backs and nobody vouches for: their pod may be running, so it is read first. */
  readonly doubtful: readonly ViewChange[];
  /** Keys that are not offsets, or records that belong to no pod: another program's, left alone. */
  readonly junk: readonly string[];
}

/**
 * What has to change for the records of a pool to match its reservations. Pure.
 *
 * A record is removed without further checks if its interface has another reservation: it moved on, whoever has the address now.
 *
 * @param wanted owners of the reservations, by key.
 * @param mayGo whether an existing record is known to be over: its reservation was seen and is gone, or its pod is.
 */
export function planView(
  wanted: ReadonlyMap<string, Owner>,
  actual: ReadonlyMap<string, PoolRecord>,
  mayGo: (key: string, record: PoolRecord) => boolean,
): ViewPlan {
  const orphans = [...actual].filter(([key, record]) => !isOf(record, wanted.get(key)));
  const held = orphans.length > 0 ? new Set([...wanted.values()].map(interfaceOf)) : new Set();
  const changes: ViewChange[] = [];
  const doubtful: ViewChange[] = [];
  const junk: string[] = [];
  for (const [key, from] of orphans) {
    const owner = wanted.get(key);
    const change: ViewChange = { key, from, ...(owner && { to: toRecord(owner) }) };
    // The reservation knows whose it is, even if the record does not; one in quarantine has no owner without it.
    const isOver =
      (owner && !from.podref) ||
      owner?.podref === from.podref ||
      isNobody(from.podref) ||
      (from.ifname && held.has(interfaceOf(from)));
    if (!isKey(key) || !(from.podref || owner)) junk.push(key);
    else if (isOver || mayGo(key, from)) changes.push(change);
    else doubtful.push(change);
  }
  for (const [key, owner] of wanted) if (!actual.has(key)) changes.push({ key, to: toRecord(owner) });
  return { changes, doubtful, junk };
}

/** A record of Whereabouts before 0.8 has no ifname and stays unchanged. */
const isOf = ({ id, podref, ifname = "" }: PoolRecord, owner: Owner | undefined): boolean =>
  id === owner?.containerId && podref === owner.podref && ifname === owner.ifname;

const interfaceOf = ({ podref, ifname = "" }: { podref: string; ifname?: string }): string => `${podref}\0${ifname}`;

/** As many of the changes as leave a pool with at most `room` more records than it has. */
export function withinRoom(changes: readonly ViewChange[], room: number): ViewChange[] {
  let left = room + changes.filter(({ to }) => !to).length;
  return changes.filter(({ from }) => from || left-- > 0);
}

/** The changes as one patch of two operations each, which fails as a whole if one record has changed. */
export const toPatch = (changes: readonly ViewChange[]): JsonPatch => changes.flatMap(operations);

function operations({ key, from, to }: ViewChange): JsonPatch {
  if (!from) return addition(key, to!);
  return to ? replacement(key, from, to, "sandbox") : removal(key, from, "sandbox");
}

/** The records after a patch went through. */
export function applyChanges(records: Map<string, PoolRecord>, changes: readonly ViewChange[]): void {
  for (const { key, to } of changes) {
    if (to) records.set(key, to);
    else records.delete(key);
  }
}
