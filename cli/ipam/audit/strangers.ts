import { isPodref } from "../../../daemonset/addresses/evidence.ts";
import type { PoolRecord } from "../../../ipam/whereabouts/objects.ts";
import type { IpamSnapshot, PoolState, Reserving } from "../snapshot.ts";
import type { AuditFinding } from "./finding.ts";

/** What is in pools and reservations but is not a pod's address. Left alone for good. Pure. */
export const strangers = ({ pools, reservations }: IpamSnapshot): AuditFinding[] => [
  ...pools.flatMap(strangersOf),
  ...reservations.flatMap(strangerOf),
];

function strangersOf({ name, range, location, records }: PoolState): AuditFinding[] {
  if (!location) {
    const why = `pool ${name} has range ${range}, ${records.size} records, and a name that does not tell its network`;
    const advice =
      "an old Whereabouts named IPv6 pools so, or it was made by hand: nobody manages its addresses; " +
      "recreate the pods that have them, so that they get others, then delete the pool";
    return [stranger({ pools: [name], why, advice })];
  }
  const { network } = location.pool;
  return [...records].flatMap(([key, record]) => {
    const ip = location.ipOf(key) ?? "";
    const found = whyStrange(key, record, ip);
    return found ? [stranger({ ...found, ip, network, pools: [name] })] : [];
  });
}

/** Written without a podref, by an old Whereabouts or under an old definition that prunes it. */
const UNKNOWN =
  "its owner is unknown, so it is never given out; once no pod has it: railnet ipam release, or delete it by hand";

function whyStrange(key: string, { podref, ifname }: PoolRecord, ip: string) {
  if (!ip) {
    const why = `key ${JSON.stringify(key)} is no offset in its pool`;
    return { why, advice: "it is not an address; remove the key by hand" };
  }
  if (!podref) return { why: "its record names no owner", advice: UNKNOWN };
  if (!isPodref(podref)) {
    const why = `its record is of ${JSON.stringify(podref)}, which is not a pod`;
    return { why, advice: "a mark made by hand; the address stays taken; remove it by hand" };
  }
  const why = `its record, of ${podref}, says no interface`;
  return ifname
    ? undefined
    : { why, advice: "Whereabouts before 0.8 wrote it; the address stays taken until its pod ends" };
}

function strangerOf(reservation: Reserving): AuditFinding[] {
  const { ip, networkName: network, podref, poolName } = reservation;
  const at = { ip, network, pools: poolName ? [poolName] : [], reservation };
  if (!ip)
    return [
      stranger({
        ...at,
        why: `reservation ${reservation.metadata.name} is of no address`,
        advice: "delete it by hand",
      }),
    ];
  if (isPodref(podref)) return [];
  if (!podref) return [stranger({ ...at, why: "its reservation names no owner", advice: UNKNOWN })];
  const why = `its reservation is of ${JSON.stringify(podref)}, which is not a pod`;
  return [stranger({ ...at, why, advice: "a mark made by hand; the address stays taken; delete it by hand" })];
}

const stranger = (what: Partial<AuditFinding> & Pick<AuditFinding, "why" | "advice">): AuditFinding => ({
  ...{ ip: "", network: "", pools: [], owners: [], records: [] },
  ...what,
  kind: "stranger",
  fix: "none",
});
