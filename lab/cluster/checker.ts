// Judges a cluster from plain API JSON, the nodes' journals and what the test believes alive. It imports nothing of the
// product, not even a type, and parses names and keys itself: IPv4 only.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { recordIn } from "./cluster-node.ts";
import type { Json, RawClient } from "./raw.ts";

const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";

/** An attachment whose ADD succeeded and whose DEL has not begun. */
export interface Living {
  readonly podref: string;
  readonly ifname: string;
  readonly id: string;
  /** Addresses without prefix length. */
  readonly ips: readonly string[];
  /** `network_name`, empty for the unnamed one. */
  readonly network: string;
  /** Folder of the node whose journal must know it; undefined where Whereabouts made it. */
  readonly folder: string | undefined;
}

export interface Picture {
  readonly reservations: readonly Json[];
  readonly pools: readonly Json[];
  /** By folder of a node. */
  readonly journals: ReadonlyMap<string, readonly Json[]>;
}

export async function takePicture(raw: RawClient, folders: readonly string[]): Promise<Picture> {
  const [reservations, pools] = await Promise.all([
    raw.list(`${OBJECTS}/overlappingrangeipreservations`),
    raw.list(`${OBJECTS}/ippools`),
  ]);
  return { reservations, pools, journals: new Map(folders.map((folder) => [folder, journalOf(folder)])) };
}

function journalOf(folder: string): Json[] {
  const dir = `${folder}/state/ipam`;
  const names = existsSync(dir) ? readdirSync(dir).filter((name) => name.endsWith(".json")) : [];
  return names.flatMap((name) => {
    try {
      return [recordIn(readFileSync(`${dir}/${name}`, "utf8"))];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return []; // just deleted
      throw error;
    }
  });
}

/** One holding: `network/address podref ifname`, and its sandbox, empty if unknown. */
interface Hold {
  readonly at: string;
  readonly who: string;
  readonly id: string;
}

/**
 * What is wrong, one line each; empty: no address has two owners, none has no owner, every running attachment has its
 * reservation and its record, the pools show what the reservations say, and the journals know what is running.
 *
 * @param only ignores every other network.
 */
export function whatIsWrong(picture: Picture, living: readonly Living[], only?: string): string[] {
  const isAsked = ({ at }: Hold) => only === undefined || at.startsWith(`${only}/`);
  const alive = living.flatMap(holdsOf).filter(isAsked);
  const reserved = picture.reservations.map(reservedBy).filter(isAsked);
  const recorded = picture.pools.flatMap(recordedIn).filter(isAsked);
  return [
    ...twice("alive", alive),
    ...twice("recorded", recorded),
    ...compare("is alive", alive, "reserved", reserved),
    ...compare("is alive", alive, "recorded", recorded),
    ...journalFaults(picture, living, only),
  ].sort();
}

const holdsOf = ({ podref, ifname, id, ips, network }: Living): Hold[] =>
  ips.map((ip) => ({ at: `${network}/${ip}`, who: `${podref} ${ifname}`, id }));

function reservedBy({ metadata, spec }: Json): Hold {
  const [, network = "", ip] = /^(?:(.+)-)?(\d+\.\d+\.\d+\.\d+)$/.exec(metadata.name) ?? [];
  return { at: `${network}/${ip ?? metadata.name}`, who: `${spec.podref} ${spec.ifname}`, id: spec.containerid ?? "" };
}

function recordedIn({ metadata, spec }: Json): Hold[] {
  const [, network = ""] = /^(?:(.+)-)?\d+\.\d+\.\d+\.\d+-\d+$/.exec(metadata.name) ?? [];
  const base = spec.range
    .split("/")[0]
    .split(".")
    .reduce((sum: number, part: string) => sum * 256 + Number(part), 0);
  const text = (value: number) => [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256).join(".");
  return Object.entries<Json>(spec.allocations ?? {})
    .filter(([key]) => /^\d+$/.test(key))
    .map(([key, { id, podref, ifname }]) => ({
      at: `${network}/${text(base + Number(key))}`,
      who: `${podref} ${ifname}`,
      id,
    }));
}

function twice(what: string, holds: readonly Hold[]): string[] {
  const first = new Map<string, Hold>();
  return holds.flatMap((hold) => {
    const other = first.get(hold.at);
    first.set(hold.at, hold);
    return other ? [`${hold.at} is ${what} twice: ${other.who} ${other.id}, ${hold.who} ${hold.id}`] : [];
  });
}

function compare(is: string, want: readonly Hold[], has: string, found: readonly Hold[]): string[] {
  const by = new Map(found.map((hold) => [hold.at, hold]));
  const wanted = new Set(want.map(({ at }) => at));
  return [
    ...want.flatMap(({ at, who, id }) => {
      const hold = by.get(at);
      if (!hold) return [`${at} of ${who} ${is} and not ${has}`];
      const isSame = hold.who === who && (hold.id === id || hold.id === "");
      return isSame ? [] : [`${at} ${is} as ${who} ${id} and ${has} for ${hold.who} ${hold.id}`];
    }),
    ...found
      .filter(({ at }) => !wanted.has(at))
      .map(({ at, who, id }) => `${at} is ${has} for ${who} ${id}: an orphan`),
  ];
}

function journalFaults({ journals }: Picture, living: readonly Living[], only: string | undefined): string[] {
  const faults: string[] = [];
  for (const [folder, records] of journals) {
    const mine = living.filter((one) => one.folder === folder && (only === undefined || one.network === only));
    const known = records.filter(
      ({ addresses, search = [] }) =>
        only === undefined ||
        [...addresses.map(({ pool }: Json) => pool), ...search].some(({ network }) => network === only),
    );
    const lines = known.map(
      ({ owner, phase, addresses }) =>
        `${phase} ${owner.containerId} ${owner.ifname} ${addresses.map(({ ip }: Json) => ip).sort()}`,
    );
    const wanted = mine.map(({ id, ifname, ips }) => `held ${id} ${ifname} ${[...ips].sort()}`);
    faults.push(
      ...wanted.filter((line) => !lines.includes(line)).map((line) => `the journal does not know: ${line}`),
      ...lines.filter((line) => !wanted.includes(line)).map((line) => `the journal has: ${line}`),
    );
  }
  return faults;
}
