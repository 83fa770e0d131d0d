import { isPodref, podIsOver } from "../../../daemonset/addresses/evidence.ts";
import type { Mode } from "../../../ipam/mode.ts";
import type { PoolRecord } from "../../../ipam/whereabouts/objects.ts";
import { addressKey, isSameOwner, recordsByAddress } from "../addresses.ts";
import type { IpamSnapshot, Reserving } from "../snapshot.ts";
import { type Entry, entriesOf, type PodsState } from "./entries.ts";
import { type AuditFinding, type AuditOwner, identity } from "./finding.ts";
import { strangers } from "./strangers.ts";

export interface Audit {
  readonly findings: readonly AuditFinding[];
  /** Worth knowing, but not wrong. */
  readonly notes: readonly string[];
}

/** A claim may be in progress: between its two writes, or between the reading of reservations and of records. */
const YOUNG_MS = 60_000;

/** Compares pools, reservations and pods. Pure. */
export function planAudit(snapshot: IpamSnapshot, pods: PodsState, nowMs: number): Audit {
  const bare = barePools(snapshot);
  const judge = new Judge(snapshot.mode, pods.pods, bare, nowMs);
  const findings = entriesOf(snapshot, pods).flatMap((entry) => judge.findingsOf(entry));
  return { findings: [...findings, ...strangers(snapshot)], notes: [...notesOf(bare), ...lagOf(snapshot)] };
}

/** The findings of a second look that the first one also had: what was only in progress is gone by then. Pure. */
export function settled(first: Audit, second: Audit): Audit {
  const before = new Set(first.findings.map(identity));
  return { ...second, findings: second.findings.filter((finding) => before.has(identity(finding))) };
}

/** What is wrong according to an address's entry. */
class Judge {
  readonly #mode: Mode;
  readonly #pods: PodsState["pods"];
  readonly #bare: ReadonlySet<string>;
  readonly #nowMs: number;

  constructor(mode: Mode, pods: PodsState["pods"], bare: ReadonlySet<string>, nowMs: number) {
    this.#mode = mode;
    this.#pods = pods;
    this.#bare = bare;
    this.#nowMs = nowMs;
  }

  findingsOf(entry: Entry): AuditFinding[] {
    const owners = this.#ownersOf(entry).filter(({ podref }) => isPodref(podref));
    const living = owners.filter(({ over }) => !over);
    const over = owners.filter(({ over }) => over);
    return [...orphan(entry, over, living), ...this.#ofLiving(entry, living)];
  }

  #ofLiving(entry: Entry, living: readonly AuditOwner[]): AuditFinding[] {
    const [first] = living;
    if (!first) return [];
    if (!living.every((one) => isSameOwner(one, first))) return [duplicate(entry, living)];
    const says = (by: AuditOwner["by"]) => living.some((one) => one.by === by);
    if (!says("reservation")) return this.#isBare(entry) ? [] : [unreserved(entry, living, says("pod"))];
    if (this.#mode === "coexist" && !says("record") && !this.#isYoung(entry)) return [unrecorded(entry, first)];
    return [];
  }

  #isBare({ records }: Entry): boolean {
    return records.some(({ pool }) => this.#bare.has(pool));
  }

  #isYoung({ reservation }: Entry): boolean {
    return reservation !== undefined && this.#nowMs - Date.parse(reservation.since) < YOUNG_MS;
  }

  #ownersOf({ reservation, records, used }: Entry): AuditOwner[] {
    const owners: AuditOwner[] = [];
    if (reservation) {
      const { podref, ifname, containerId, node, podUid } = reservation;
      owners.push({ podref, ifname, containerId, node, by: "reservation", ...this.#end(podref, podUid) });
    }
    for (const { record } of records) owners.push(this.#ownerOf(record, reservation));
    for (const { podref, ifname } of used)
      owners.push({ podref, ifname, containerId: "", node: "", by: "pod", ...this.#end(podref, "") });
    return owners;
  }

  /** A record contains neither UID nor node: if it is the reservation's, those of the reservation count. */
  #ownerOf({ podref, ifname = "", id }: PoolRecord, reservation: Reserving | undefined): AuditOwner {
    const isSame = reservation?.podref === podref && reservation.containerId === id;
    const [podUid, node] = isSame ? [reservation.podUid, reservation.node] : ["", ""];
    return { podref, ifname, containerId: id, node, by: "record", ...this.#end(podref, podUid) };
  }

  #end(podref: string, podUid: string): Pick<AuditOwner, "over" | "podExists"> {
    const pod = this.#pods.get(podref);
    return { over: podIsOver(pod, podUid) ?? "", podExists: pod !== undefined };
  }
}

function base({ ip, network, reservation, records }: Entry, owners: readonly AuditOwner[]) {
  const pools = [...records.map(({ pool }) => pool), reservation?.poolName ?? ""].filter(Boolean);
  return { ip, network, pools: [...new Set(pools)], owners, records, ...(reservation && { reservation }) };
}

const named = ({ podref, ifname }: { podref: string; ifname: string }): string =>
  `${podref} (${ifname || "interface not known"})`;

function duplicate(entry: Entry, living: readonly AuditOwner[]): AuditFinding {
  const why = living.map((one) => `${named(one)} has it, says its ${one.by}`).join("; ");
  const advice = "delete one of these pods: an address is never taken from a living one";
  return { ...base(entry, living), kind: "duplicate", why, fix: "none", advice };
}

/** What says that a pod which is over has the address; what says so of a running pod stays. */
function orphan(entry: Entry, over: readonly AuditOwner[], living: readonly AuditOwner[]): AuditFinding[] {
  const [first] = over;
  if (!first) return [];
  const isOver = (by: AuditOwner["by"], podref: string, ifname = "") =>
    over.some((one) => one.by === by && one.podref === podref && one.ifname === ifname);
  const { reservation, ...others } = entry;
  const part: Entry = {
    ...others,
    ...(reservation && isOver("reservation", reservation.podref, reservation.ifname) && { reservation }),
    records: entry.records.filter(({ record }) => isOver("record", record.podref, record.ifname)),
  };
  const beside = living[0] ? `; ${named(living[0])} lives and has it too` : "";
  const why = `${named(first)} has it: ${first.over}${beside}`;
  return [{ ...base(part, over), kind: "orphan", why, fix: "free", advice: "it is freed" }];
}

function unreserved(entry: Entry, living: readonly AuditOwner[], isUsed: boolean): AuditFinding {
  const says = entry.records.length > 0 ? "only its pool record says so" : "only the pod says so";
  return {
    ...base(entry, living),
    kind: isUsed ? "lost" : "unreserved",
    why: `${named(living[0]!)} ${isUsed ? "uses" : "has"} it and no reservation is there: ${says}`,
    fix: "reserve",
    advice: "a reservation is made for it, unless somebody else takes the address before",
  };
}

function unrecorded(entry: Entry, owner: AuditOwner): AuditFinding {
  const canRecord = Boolean(owner.containerId && entry.reservation?.poolName);
  return {
    ...base(entry, [owner]),
    kind: "unrecorded",
    why: `${named(owner)} has reserved it and no pool has a record: a live Whereabouts may give it out`,
    fix: canRecord ? "record" : "none",
    advice: canRecord ? "the record is written" : "recreate the pod: its sandbox or its pool is not known",
  };
}

/** Pools whose configuration says `enable_overlapping_ranges: false`, or which were never adopted: they look the same. */
function barePools({ pools, reservations }: IpamSnapshot): Set<string> {
  const addresses = new Set(reservations.map(({ networkName, ip }) => addressKey(networkName, ip)));
  const reserved = new Set(reservations.map(({ poolName }) => poolName));
  for (const [key, located] of recordsByAddress(pools))
    if (addresses.has(key)) for (const { pool } of located) reserved.add(pool);
  const bare = pools.filter(({ name, isAdopted, records }) => records.size > 0 && !isAdopted && !reserved.has(name));
  return new Set(bare.map(({ name }) => name));
}

const notesOf = (bare: ReadonlySet<string>): string[] =>
  [...bare].map(
    (name) =>
      `pool ${name} has records and no reservations: its configurations say enable_overlapping_ranges: false, or it has ` +
      "still to be adopted (railnet ipam takeover)",
  );

/** In mode `absent` records are a view, written afterwards. */
function lagOf({ mode, pools, reservations }: IpamSnapshot): string[] {
  if (mode !== "absent") return [];
  const records = recordsByAddress(pools);
  const missing = reservations.filter(({ networkName, ip }) => ip && !records.has(addressKey(networkName, ip))).length;
  return missing === 0 ? [] : [`${missing} reservations have no pool record yet: records are written behind`];
}
