import { CONFIG_MAP, type ConfigMap } from "../../../ipam/mode.ts";
import { ADOPTED, RECORDS_DECIDE } from "../../../ipam/whereabouts/objects.ts";
import { ApiError, type Cluster, CONFIG_MAPS, IP_POOLS, type KubeObject, LEASES } from "../../../kubernetes/cluster.ts";
import { WHEREABOUTS_LEASE } from "../../../kubernetes/lease.ts";
import type { Context } from "../context.ts";
import type { Reserved } from "../reserved.ts";

/** What a leader sees of a cluster's addresses. */
export interface WhereaboutsEvidence {
  readonly pools: Iterable<KubeObject>;
  readonly reservations: Iterable<Reserved>;
}

/**
 * A new cluster's settings do not say whether a Whereabouts runs: if there are only our own objects, none ever did, and
 * `absent` is written once. Existing settings stay, whoever wrote them. A Whereabouts in another namespace
 * (`openshift-multus`, say) gives out the same addresses without either knowing of the other: that is reported.
 */
export async function chooseFirstMode(
  { cluster, log, events }: Pick<Context, "cluster" | "log" | "events">,
  evidence: WhereaboutsEvidence,
  signal: AbortSignal,
): Promise<void> {
  const settings = await cluster.get<ConfigMap>(CONFIG_MAPS, CONFIG_MAP, { signal });
  if (settings?.data?.["whereabouts"] !== undefined || isWhereaboutsSeen(evidence)) return;
  if (await cluster.get(LEASES, WHEREABOUTS_LEASE, { signal })) return;
  const elsewhere = await whereaboutsElsewhere(cluster, signal);
  if (elsewhere !== undefined) {
    const message = `a Whereabouts keeps its addresses in namespace ${elsewhere}, and we in ${cluster.namespace}: neither knows what the other gives out; install Railnet in ${elsewhere}, or say in the settings that whereabouts is absent`;
    log.warn({ namespace: elsewhere }, message);
    return events.onSettings("Warning", CONFIG_MAP, "WhereaboutsElsewhere", message);
  }
  const data = { whereabouts: "absent" };
  try {
    if (!settings) await cluster.create(CONFIG_MAPS, { metadata: { name: CONFIG_MAP }, data } as ConfigMap, { signal });
    else await cluster.mergePatch(CONFIG_MAPS, CONFIG_MAP, { metadata: versionOf(settings), data }, { signal });
    log.info({ mode: "absent" }, "no sign of Whereabouts in this cluster: the settings now say absent");
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 409)) throw error; // they have just been written by another
  }
}

/** The namespace of a Whereabouts that is not in ours. */
async function whereaboutsElsewhere(cluster: Cluster, signal: AbortSignal): Promise<string | undefined> {
  const everywhere = { namespace: "", metadataOnly: true, signal };
  const named = { ...everywhere, fieldSelector: `metadata.name=${WHEREABOUTS_LEASE}` };
  const leases = await cluster.list(LEASES, named);
  const pools = await cluster.list(IP_POOLS, { ...everywhere, fromCache: true, keep: markOf });
  const theirs = [...leases.items, ...pools.items.filter(({ metadata }) => metadata.annotations === undefined)];
  return theirs.find(({ metadata }) => metadata.namespace !== cluster.namespace)?.metadata.namespace;
}

/** For a pool: whether it belongs to another Railnet. */
const markOf = ({ metadata: { name, namespace = "", annotations = {} } }: KubeObject): KubeObject => ({
  metadata: { name, namespace, ...((ADOPTED in annotations || RECORDS_DECIDE in annotations) && { annotations: {} }) },
});

const versionOf = ({ metadata: { resourceVersion } }: KubeObject) => ({ resourceVersion });

/** An object that is not ours, or may not be. Pure. */
function isWhereaboutsSeen({ pools, reservations }: WhereaboutsEvidence): boolean {
  const ours = new Set<string>();
  for (const { node, pool } of reservations)
    if (node === "") return true;
    else ours.add(pool);
  for (const { metadata } of pools)
    if (metadata.annotations?.[ADOPTED] === undefined && !ours.has(metadata.name)) return true;
  return false;
}
