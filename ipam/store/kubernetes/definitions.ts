import { type Cluster, IP_POOLS, RESERVATIONS } from "../../kubernetes/cluster.ts";
import { toIpPool, toRecord, toReservation } from "../../whereabouts/objects.ts";
import { type Claim, StoreError } from "../store.ts";

/** A claim with all that one can say. */
const PROBE: Claim = {
  pool: { name: "railnet-check", cidr: "0.0.0.0/24", network: "railnet-check", overlapping: true },
  ip: "0.0.0.1",
  owner: { podref: "railnet/check", ifname: "check", containerId: "railnet-check" },
};

/**
 * Whether the cluster's definitions keep what a claim says. Those of an old Whereabouts prune fields that came later, and
 * a claim without them is never found again by whom it belongs to. Two dry runs: nothing is made.
 *
 * @throws {StoreError} `refused`, with the manifest that mends it. {ApiError}
 */
export async function requireDefinitions(cluster: Cluster, signal?: AbortSignal): Promise<void> {
  const at = { signal, isDryRun: true };
  const record = toRecord(PROBE.owner);
  const pool = toIpPool(PROBE.pool.name, PROBE.pool.cidr, { allocations: { 1: record } });
  const [reservation, made] = await Promise.all([
    cluster.create(RESERVATIONS, toReservation(PROBE), at),
    cluster.create(IP_POOLS, pool, at),
  ]);
  requireKept("overlappingrangeipreservations", toReservation(PROBE).spec, reservation.spec);
  requireKept("ippools", record, made.spec.allocations["1"] ?? {});
}

/** @throws {StoreError} naming the fields that are not as they were sent. */
export function requireKept(plural: string, sent: object, kept: object): void {
  const had = new Map(Object.entries(kept));
  const dropped = Object.entries(sent).filter(([name, value]) => value !== "" && had.get(name) !== value);
  if (dropped.length === 0) return;
  throw new StoreError(
    "refused",
    `cannot keep addresses here: the definition of ${plural} drops ${dropped.map(([name]) => name).join(", ")}, as that ` +
      "of an old Whereabouts does, so nobody could find a claim again; kubectl apply -f manifests/crds",
  );
}
