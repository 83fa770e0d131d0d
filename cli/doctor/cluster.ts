import { connect } from "../../ipam/connect.ts";
import { readMode } from "../../ipam/mode.ts";
import { type Cluster, IP_POOLS, LEASES, RESERVATIONS } from "../../kubernetes/cluster.ts";
import type { Lease } from "../../kubernetes/lease.ts";
import { admissionFindings } from "./admission.ts";
import { definitionFindings } from "./definitions.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";
import { leaderFindings } from "./leader.ts";

const TIME_LIMIT_MS = 5_000;
const RECONCILER =
  "is running: keep its reconciler from running, since it removes what it does not know: scale the Deployment " +
  "whereabouts-reconciler to zero (since 0.9.4); before that it runs in the DaemonSet: postpone it by the cron-expression of the " +
  'ConfigMap whereabouts-config ("0 0 1 1 *": once a year), or suspend the CronJob where it is one';

/** As in `railnet ipam takeover`. */
const LIVE_MS = 60_000;

interface ClusterLook {
  readonly kubeconfig: string | undefined;
  /** Where addresses are without a cluster. */
  readonly directory: string;
  /** Whether a RailNetwork of this node gives rails to pods. */
  readonly isForPods: boolean;
}

/** Whether this node can get and release addresses, as the stand-alone executable and the agent would. */
export async function clusterFindings({ kubeconfig, directory, isForPods }: ClusterLook): Promise<DoctorFinding[]> {
  if (!kubeconfig) return named("API server", [], `none is configured: addresses are kept in ${directory}`);
  try {
    const cluster = await connect({ kubeconfig, timeLimitMs: TIME_LIMIT_MS });
    for (const resource of [IP_POOLS, RESERVATIONS]) await cluster.get(resource, "railnet-doctor");
    const mode = await readMode(cluster);
    return [
      ...named("API server", [], `answers; ${kubeconfig} is good; whereabouts: ${mode}`),
      ...(await definitionFindings(cluster).catch((error) =>
        named("definitions", [wrong(`cannot look: ${(error as Error).message}`)], ""),
      )),
      ...(await leaderFindings(cluster)),
      ...(isForPods ? await admissionFindings(cluster) : []),
      ...named("Whereabouts", mode === "coexist" ? await beside(cluster) : [], "is not beside us"),
    ];
  } catch (error) {
    return named("API server", [wrong((error as Error).message)], "");
  }
}

async function beside(cluster: Cluster) {
  const renewed = (await cluster.get<Lease>(LEASES, "whereabouts"))?.spec.renewTime ?? "";
  if (!(Date.now() - Date.parse(renewed) < LIVE_MS)) return [];
  return [note(RECONCILER)];
}
