import type { Living } from "../world/living.ts";
import { uidOf } from "../world/pods.ts";
import type { World } from "../world/world.ts";
import { addressesOf } from "./addresses-of.ts";
import { Deciders } from "./deciders.ts";
import { journalOf } from "./journal.ts";

export interface Broken {
  readonly rule: string;
  readonly detail: string;
  /** How long after the last fault it may be so. */
  readonly untilMs?: number;
}

const idOf = (containerId: string | undefined): string => (containerId ?? "").slice(0, 8);
const whoIs = ({ podref, containerId, node, ip }: Living): string =>
  `${ip} of ${podref} (${idOf(containerId)}) on ${node}`;
const QUARANTINED = "quarantined";

/** After the last fault, all that was lost is back, and all that nobody needs is free. */
export const QUIET_MS = 45 * 60_000;

/** What is in quarantine stays there for an hour. */
export const QUARANTINE_MS = 75 * 60_000;

/**
 * What must hold when nothing has happened for the stated time: reservations, records, journals and sandboxes say the same.
 */
export function* brokenWhenQuiet(world: World): Generator<Broken> {
  const deciders = new Deciders(world);
  const alive = new Map([...world.living].map((one) => [one.ip, one]));
  yield* ofSandboxes(alive, deciders);
  yield* ofReservations(alive, deciders);
  yield* ofRecords(alive, deciders);
  yield* ofJournals(world, alive);
  yield* ofPods(world);
}

function* ofSandboxes(alive: ReadonlyMap<string, Living>, deciders: Deciders): Generator<Broken> {
  for (const [ip, living] of alive) {
    const what = deciders.isByRecord(ip) ? "record" : "reservation";
    const holder = deciders.holder(ip);
    if (holder === undefined) yield { rule: `a living sandbox without ${what}`, detail: whoIs(living) };
    else if (holder !== living.containerId)
      yield { rule: "a living sandbox whose address is another one's", detail: `${whoIs(living)}: ${idOf(holder)}'s` };
  }
}

function* ofReservations(alive: ReadonlyMap<string, Living>, deciders: Deciders): Generator<Broken> {
  for (const [ip, { spec, metadata }] of deciders.reservations) {
    const who = `${ip} of ${spec.podref} (${idOf(spec.containerid)}) from ${metadata.labels?.["railnet.io/node"]}`;
    const rule = spec.podref === QUARANTINED ? "a quarantine without end" : "a leaked reservation";
    const untilMs = spec.podref === QUARANTINED ? QUARANTINE_MS : QUIET_MS;
    if (!alive.has(ip)) yield { rule, detail: who, untilMs };
    const record = deciders.records.get(ip);
    if (!deciders.isByRecord(ip) && (record?.id !== spec.containerid || record?.podref !== spec.podref))
      yield {
        rule: "the view lacks a reservation",
        detail: `${who}; record of ${record?.podref} (${idOf(record?.id)})`,
      };
  }
}

function* ofRecords(alive: ReadonlyMap<string, Living>, deciders: Deciders): Generator<Broken> {
  for (const [ip, { podref, id }] of deciders.records) {
    const detail = `${ip} of ${podref} (${idOf(id)})`;
    if (deciders.isByRecord(ip) && !alive.has(ip)) yield { rule: "a leaked record", detail };
    if (!deciders.isByRecord(ip) && !deciders.reservations.has(ip))
      yield { rule: "the view has what is not reserved", detail };
  }
}

function* ofJournals(world: World, alive: ReadonlyMap<string, Living>): Generator<Broken> {
  const ids = new Set([...alive.values()].map(({ containerId }) => containerId));
  for (const machine of world.machines.values())
    for (const { phase, owner } of journalOf(machine)) {
      const detail = `${machine.name}: ${phase} ${owner.podref} (${idOf(owner.containerId)})`;
      if (phase !== "held" || !ids.has(owner.containerId)) yield { rule: "a journal record of nothing", detail };
    }
}

function* ofPods(world: World): Generator<Broken> {
  const uids = new Set([...world.living].map(({ podUid }) => podUid));
  const pods = world.pods.all().filter(({ status }) => status.phase !== "Succeeded");
  for (const pod of pods) {
    const { metadata, spec } = pod;
    const detail = `${metadata.name} on ${spec.nodeName}, deleted ${metadata.deletionTimestamp}`;
    if (!uids.has(uidOf(pod)) && !isFull(world, metadata.name)) yield { rule: "a pod that does not come up", detail };
  }
}

/** Of one of its rails no address is free, or of two ranges only one that both need. */
function isFull({ settings, living }: World, pod: string): boolean {
  const all = [...living];
  return settings.rails(pod).some(({ ipam: { network_name: network = "", ...ipam } }) => {
    const used = new Set(all.filter((one) => one.network === network).map(({ ip }) => ip));
    const ranges = ipam.ipRanges ?? [{ range: ipam.range! }];
    const free = ranges.map((range) => addressesOf(range).filter((ip) => !used.has(ip)));
    return free.some(({ length }) => length === 0) || new Set(free.flat()).size < free.length;
  });
}
