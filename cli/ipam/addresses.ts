import { parseIp } from "../../ipam/address.ts";
import type { PoolRecord } from "../../ipam/whereabouts/objects.ts";
import type { IpamSnapshot, PoolState, Reserving } from "./snapshot.ts";

/** An address with a holder. */
export interface HeldAddress {
  readonly ip: string;
  /** `network_name`, empty for the unnamed one. */
  readonly network: string;
  /** Name of the pool, empty if there is none. */
  readonly pool: string;
  readonly podref: string;
  readonly ifname: string;
  /** Empty if unknown: Whereabouts writes none. */
  readonly node: string;
  readonly podUid: string;
  readonly containerId: string;
  /** ISO 8601, empty if unknown. */
  readonly since: string;
  /** The evidence: reservation and record of the same interface, one of them, or the file of a directory. */
  readonly by: "both" | "reservation" | "record" | "file";
}

/** Every address of a snapshot: one entry for each owner that a reservation or a record names, sorted. Pure. */
export function addressesOf({ pools, reservations }: IpamSnapshot): HeldAddress[] {
  const records = recordsByAddress(pools);
  const found: HeldAddress[] = [];
  for (const reserved of reservations) {
    const key = addressKey(reserved.networkName, reserved.ip);
    const own = (records.get(key) ?? []).filter(({ record }) => isSameOwner(record, reserved));
    found.push(fromReservation(reserved, own.length > 0));
    const rest = (records.get(key) ?? []).filter((one) => !own.includes(one));
    records.set(key, rest);
  }
  for (const list of records.values()) found.push(...list.map(fromRecord));
  return sorted(found);
}

/** A record, and where it is. */
export interface Located {
  readonly ip: string;
  readonly network: string;
  readonly pool: string;
  readonly key: string;
  readonly record: PoolRecord;
}

/** The records of pools by address of a network; those whose key is not an address are left out. Pure. */
export function recordsByAddress(pools: readonly PoolState[]): Map<string, Located[]> {
  const found = new Map<string, Located[]>();
  for (const { name: pool, location, records } of pools)
    for (const [key, record] of records) {
      const ip = location?.ipOf(key);
      if (!location || ip === undefined) continue;
      const { network } = location.pool;
      const at = addressKey(network, ip);
      found.set(at, [...(found.get(at) ?? []), { ip, network, pool, key, record }]);
    }
  return found;
}

/** The same address in two networks is two addresses. */
export const addressKey = (network: string, ip: string): string => `${network} ${ip}`;

/** The same interface; records of Whereabouts before 0.8 do not name it, and some do not name their pod. */
export const isSameOwner = (
  a: { readonly podref: string; readonly ifname?: string },
  b: { readonly podref: string; readonly ifname?: string },
): boolean => (!a.podref || !b.podref || a.podref === b.podref) && (!a.ifname || !b.ifname || a.ifname === b.ifname);

function fromReservation(reserved: Reserving, isRecorded: boolean): HeldAddress {
  const { ip, networkName: network, poolName: pool, podref, ifname, node, podUid, containerId, since } = reserved;
  const by = isRecorded ? "both" : "reservation";
  return { ip: ip || reserved.metadata.name, network, pool, podref, ifname, node, podUid, containerId, since, by };
}

function fromRecord({ ip, network, pool, record: { podref, ifname = "", id } }: Located): HeldAddress {
  return { ip, network, pool, podref, ifname, node: "", podUid: "", containerId: id, since: "", by: "record" };
}

/** By number, IPv4 first; equal ones by network. Invalid addresses come last. */
export const sorted = <T extends { readonly ip: string; readonly network: string }>(addresses: readonly T[]): T[] =>
  addresses
    .map((address) => ({ address, at: parseIp(address.ip) }))
    .toSorted((a, b) => compare(a.at, b.at) || (a.address.network < b.address.network ? -1 : 1))
    .map(({ address }) => address);

type Parsed = ReturnType<typeof parseIp>;

function compare(a: Parsed, b: Parsed): number {
  if (!a || !b) return Number(!a) - Number(!b);
  if (a.isV6 !== b.isV6) return a.isV6 ? 1 : -1;
  return a.value === b.value ? 0 : a.value < b.value ? -1 : 1;
}
