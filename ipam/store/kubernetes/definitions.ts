import { type Cluster, IP_POOLS, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import { toIpPool, toRecord, toReservation } from "../../whereabouts/objects.ts";
import { type Claim, StoreError } from "../store.ts";

/** A claim with all possible fields. */
const PROBE: Claim = {
  pool: { name: "railnet-check", cidr: "0.0.0.0/24", network: "railnet-check", overlapping: true },
  ip: "0.0.0.1",
  owner: { podref: "railnet/check", ifname: "check", containerId: "railnet-check" },
};

/** A definition that drops fields that are sent. */
export interface Pruning {
  readonly plural: string;
  /** What it drops, by name. */
  readonly fields: readonly string[];
}

/**
 * The definitions of the cluster that do not store all fields of a claim. Those of an old Whereabouts prune fields that
 * were added later, and a claim without them is never found again by its owner. One dry run each: nothing is created.
 *
 * @param options.isFast a reservation alone is a claim: records are not checked.
 * @throws {ApiError}
 */
export async function pruningDefinitions(
  cluster: Pick<Cluster, "create">,
  { signal, isFast = false }: LookOptions = {},
): Promise<Pruning[]> {
  const at = { signal, isDryRun: true };
  const looks = [ofReservations(cluster, at), ...(isFast ? [] : [ofPools(cluster, at)])];
  return (await Promise.all(looks)).filter(({ fields }) => fields.length > 0);
}

interface LookOptions {
  readonly signal?: AbortSignal | undefined;
  readonly isFast?: boolean;
}
type DryRun = Parameters<Cluster["create"]>[2];

async function ofReservations(cluster: Pick<Cluster, "create">, at: DryRun): Promise<Pruning> {
  const { spec } = await cluster.create(RESERVATIONS, toReservation(PROBE), at);
  return pruning("overlappingrangeipreservations", toReservation(PROBE).spec, spec);
}

async function ofPools(cluster: Pick<Cluster, "create">, at: DryRun): Promise<Pruning> {
  const record = toRecord(PROBE.owner);
  const { spec } = await cluster.create(
    IP_POOLS,
    toIpPool(PROBE.pool.name, PROBE.pool.cidr, { allocations: { 1: record } }),
    at,
  );
  return pruning("ippools", record, spec.allocations?.["1"] ?? {});
}

/** @throws {StoreError} `refused`, naming the manifest that fixes it. {ApiError} */
export async function requireDefinitions(cluster: Cluster, options?: LookOptions): Promise<void> {
  for (const one of await pruningDefinitions(cluster, options)) throw refusal(one);
}

/** @throws {StoreError} naming the fields that differ from what was sent. */
export function requireKept(plural: string, sent: object, kept: object): void {
  const found = pruning(plural, sent, kept);
  if (found.fields.length > 0) throw refusal(found);
}

function pruning(plural: string, sent: object, kept: object): Pruning {
  const had = new Map(Object.entries(kept));
  const dropped = Object.entries(sent).filter(([name, value]) => value !== "" && had.get(name) !== value);
  return { plural, fields: dropped.map(([name]) => name) };
}

const refusal = (one: Pruning): StoreError => new StoreError("refused", `cannot keep addresses here: ${inWords(one)}`);

/** Says what fixes it, too. */
export const inWords = ({ plural, fields }: Pruning): string =>
  `the definition of ${plural} drops ${fields.join(", ")}, as that of an old Whereabouts does, so nobody could find a ` +
  "claim again; kubectl apply -f manifests/crds";
