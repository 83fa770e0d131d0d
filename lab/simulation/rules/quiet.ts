import type { Obj } from "../api/objects.ts";
import { POOLS, RESERVED } from "../world/kinds.ts";
import type { Living } from "../world/living.ts";
import type { World } from "../world/world.ts";
import { journalOf } from "./journal.ts";

export interface Broken {
  readonly rule: string;
  readonly detail: string;
}

interface RecordOfPool {
  readonly id: string;
  readonly podref: string;
}

const idOf = (containerId: string | undefined): string => (containerId ?? "").slice(0, 8);
const whoIs = ({ podref, containerId, node, ip }: Living): string =>
  `${ip} of ${podref} (${idOf(containerId)}) on ${node}`;
const QUARANTINED = "quarantined";

/**
 * What must hold when nothing has happened for the stated time: reservations, records, journals and sandboxes say the same.
 * One network whose ranges do not overlap: an address names a living sandbox.
 */
export function* brokenWhenQuiet(world: World): Generator<Broken> {
  const { etcd } = world.server;
  const alive = new Map([...world.living].map((one) => [one.ip, one]));
  const reserved = new Map([...etcd.all(RESERVED).values()].map((one) => [one.metadata.name, one]));
  const records = recordsOf([...etcd.all(POOLS).values()]);
  if (world.settings.mode === "absent") {
    yield* ofSandboxes(alive, reserved);
    yield* ofReservations(alive, reserved, records);
    for (const [ip, record] of records)
      if (!reserved.has(ip))
        yield { rule: "the view has what is not reserved", detail: `${ip} of ${record.podref} (${idOf(record.id)})` };
  } else yield* ofRecords(alive, records);
  yield* ofJournals(world, alive);
  yield* ofPods(world);
}

function* ofSandboxes(alive: ReadonlyMap<string, Living>, reserved: ReadonlyMap<string, Obj>): Generator<Broken> {
  for (const [ip, living] of alive) {
    const { podref, containerid } = reserved.get(ip)?.["spec"] ?? {};
    if (containerid === undefined) yield { rule: "a living sandbox without reservation", detail: whoIs(living) };
    else if (containerid !== living.containerId)
      yield {
        rule: "a living sandbox whose address is another one's",
        detail: `${whoIs(living)}: ${podref} (${idOf(containerid)})`,
      };
  }
}

function* ofReservations(
  alive: ReadonlyMap<string, Living>,
  reserved: ReadonlyMap<string, Obj>,
  records: ReadonlyMap<string, RecordOfPool>,
): Generator<Broken> {
  for (const [ip, { spec, metadata }] of reserved) {
    const who = `${ip} of ${spec.podref} (${idOf(spec.containerid)}) from ${metadata.labels?.["railnet.io/node"]}`;
    if (!alive.has(ip))
      yield { rule: spec.podref === QUARANTINED ? "a quarantine without end" : "a leaked reservation", detail: who };
    const record = records.get(ip);
    if (record?.id !== spec.containerid || record?.podref !== spec.podref)
      yield {
        rule: "the view lacks a reservation",
        detail: `${who}; record of ${record?.podref} (${idOf(record?.id)})`,
      };
  }
}

function* ofRecords(alive: ReadonlyMap<string, Living>, records: ReadonlyMap<string, RecordOfPool>): Generator<Broken> {
  for (const [ip, living] of alive)
    if (records.get(ip)?.id !== living.containerId)
      yield {
        rule: "a living sandbox without record",
        detail: `${whoIs(living)}; record of ${records.get(ip)?.podref}`,
      };
  for (const [ip, { podref, id }] of records)
    if (!alive.has(ip)) yield { rule: "a leaked record", detail: `${ip} of ${podref} (${idOf(id)})` };
}

function* ofJournals(world: World, alive: ReadonlyMap<string, Living>): Generator<Broken> {
  const ids = new Set([...alive.values()].map(({ containerId }) => containerId));
  for (const machine of world.machines.values())
    for (const { phase, owner } of journalOf(machine))
      if (phase !== "held" || !ids.has(owner.containerId))
        yield {
          rule: "a journal record of nothing",
          detail: `${machine.name}: ${phase} ${owner.podref} (${idOf(owner.containerId)})`,
        };
}

function* ofPods(world: World): Generator<Broken> {
  const uids = new Set([...world.living].map(({ podUid }) => podUid));
  for (const { metadata, status, spec } of world.pods.all())
    if (status.phase !== "Succeeded" && !uids.has(metadata.uid))
      yield {
        rule: "a pod that does not come up",
        detail: `${metadata.name} on ${spec.nodeName}, deleted ${metadata.deletionTimestamp}`,
      };
}

/** By address. */
function recordsOf(pools: readonly Obj[]): Map<string, RecordOfPool> {
  const records = new Map<string, RecordOfPool>();
  for (const { spec } of pools) {
    const base = spec.range.split("/")[0].split(".").map(Number);
    for (const [offset, record] of Object.entries<RecordOfPool>(spec.allocations ?? {}))
      records.set([...base.slice(0, 3), base[3] + Number(offset)].join("."), record);
  }
  return records;
}
