import { ApiError, type Cluster, type Resource } from "../../kubernetes/cluster.ts";
import { type DoctorFinding, named, note } from "./finding.ts";

/** GA and enabled by default from Kubernetes 1.36. */
const MUTATING_POLICIES: Resource = {
  group: "admissionregistration.k8s.io",
  version: "v1",
  plural: "mutatingadmissionpolicies",
  kind: "MutatingAdmissionPolicy",
  namespaced: false,
};

const BY_HAND =
  "the label railnet.io/rails brings pods nothing (they are refused): write the annotation k8s.v1.cni.cncf.io/networks " +
  "and the resources into each";

/** Whether one label gives a pod its rails. Relevant if a RailNetwork gives rails to pods. */
export async function admissionFindings(cluster: Pick<Cluster, "get">): Promise<DoctorFinding[]> {
  const found = async (): Promise<string | undefined> => {
    try {
      const policy = await cluster.get(MUTATING_POLICIES, "rails.railnet.io");
      return policy ? undefined : `manifests/admission.yaml is not applied, so ${BY_HAND}, or apply it`;
    } catch (error) {
      if (!(error instanceof ApiError) || ![403, 404].includes(error.status)) throw error;
      if (error.status === 403) return "cannot inspect it: apply manifests/rbac.yaml of this version";
      return `this API server has no MutatingAdmissionPolicy, which Kubernetes has from 1.36 on, so ${BY_HAND}`;
    }
  };
  const why = await found();
  return named("label", why === undefined ? [] : [note(why)], "railnet.io/rails: all brings a pod its rails");
}
