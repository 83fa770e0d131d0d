import { inWords, pruningDefinitions } from "../../ipam/store/kubernetes/definitions.ts";
import type { Cluster } from "../../kubernetes/cluster.ts";
import { type DoctorFinding, named, wrong } from "./finding.ts";

/** Whether the cluster's definitions store all fields of a claim: otherwise every ADD and `takeover adopt` is refused. Dry runs. */
export async function definitionFindings(cluster: Pick<Cluster, "create">): Promise<DoctorFinding[]> {
  const pruning = await pruningDefinitions(cluster);
  return named(
    "definitions",
    pruning.map((one) => wrong(inWords(one))),
    "keep all that a claim says",
  );
}
