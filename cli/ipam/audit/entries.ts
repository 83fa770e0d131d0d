import { type Pod, podIsOver } from "../../../daemonset/addresses/evidence.ts";
import { addressKey, type Located, recordsByAddress } from "../addresses.ts";
import type { IpamSnapshot, Reserving } from "../snapshot.ts";

/** An address that a pod has according to Multus' annotation. */
export interface Used {
  readonly podref: string;
  readonly ifname: string;
  /** Canonical. */
  readonly ip: string;
}

/** What is known of pods. */
export interface PodsState {
  /** By podref; without pods that are gone. */
  readonly pods: ReadonlyMap<string, Pod>;
  readonly used: readonly Used[];
}

/** Everything that is known of one address of one network. */
export interface Entry {
  readonly ip: string;
  readonly network: string;
  readonly reservation?: Reserving;
  readonly records: readonly Located[];
  /** By running pods. */
  readonly used: readonly Used[];
}

/** Combines what pools, reservations and pods say about each address. Pure. */
export function entriesOf(snapshot: IpamSnapshot, { pods, used }: PodsState): Entry[] {
  const records = recordsByAddress(snapshot.pools);
  const located = snapshot.reservations.filter(({ ip }) => ip);
  const reservations = new Map(located.map((one) => [addressKey(one.networkName, one.ip), one]));
  const users = new Map<string, Used[]>();
  for (const one of used) {
    if (podIsOver(pods.get(one.podref), "")) continue;
    const key = keyOfUse(one, snapshot, (key) => [
      reservations.get(key),
      ...(records.get(key) ?? []).map((r) => r.record),
    ]);
    if (key) users.set(key, [...(users.get(key) ?? []), one]);
  }
  const keys = new Set([...reservations.keys(), ...records.keys(), ...users.keys()]);
  return [...keys].map((key) => {
    const [network = "", ip = ""] = key.split(" ");
    const reservation = reservations.get(key);
    const about = { records: records.get(key) ?? [], used: users.get(key) ?? [] };
    return { network, ip, ...(reservation && { reservation }), ...about };
  });
}

/**
 * Which network's address a pod uses. Undefined for addresses of networks other than ours, and where the same address in
 * several could be meant: no finding is better than a wrong one.
 */
function keyOfUse(
  { ip, podref }: Used,
  { addressIndex }: IpamSnapshot,
  ownersOf: (key: string) => readonly ({ readonly podref: string } | undefined)[],
): string | undefined {
  const keys = addressIndex.networksOf(ip).map((network) => addressKey(network, ip));
  return (
    keys.find((key) => ownersOf(key).some((one) => one?.podref === podref)) ?? (keys.length === 1 ? keys[0] : undefined)
  );
}
