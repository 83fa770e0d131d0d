import { LEADER_LEASE } from "../../daemonset/addresses/leader/lease.ts";
import { NOBODY_LEADS } from "../../daemonset/addresses/leader/until-may-lead.ts";
import { ApiError, type Cluster, LEASES } from "../../kubernetes/cluster.ts";
import type { Lease } from "../../kubernetes/lease.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";

/** A leader renews every minute, and is replaced after three; clocks may differ slightly. */
const SILENT_MS = 360_000;

/** Whether some agent is leading. */
export async function leaderFindings(cluster: Pick<Cluster, "get">): Promise<DoctorFinding[]> {
  try {
    const { holderIdentity = "", renewTime = "" } = (await cluster.get<Lease>(LEASES, LEADER_LEASE))?.spec ?? {};
    if (!(Date.now() - Date.parse(renewTime) < SILENT_MS)) return named("leader", [wrong(NOBODY_LEADS)], "");
    return named("leader", [], `is ${holderIdentity.split("_")[0] || "being chosen"}`);
  } catch (error) {
    if (!(error instanceof ApiError && error.status === 403)) throw error;
    return named("leader", [note("this kubeconfig may not see who leads: kubectl apply -f manifests/rbac.yaml")], "");
  }
}
