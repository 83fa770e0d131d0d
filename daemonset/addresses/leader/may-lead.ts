import { ApiError, type Cluster, type KubeObject, type Resource } from "../../../kubernetes/cluster.ts";

/** Any account may ask about itself. */
const ACCESS_REVIEWS: Resource = {
  group: "authorization.k8s.io",
  version: "v1",
  plural: "selfsubjectaccessreviews",
  kind: "SelfSubjectAccessReview",
  namespaced: false,
};

interface AccessReview extends KubeObject {
  readonly spec: object;
  readonly status?: { readonly allowed?: boolean };
}

/**
 * Whether this node's agent may act for others: the right `lead` on `leaders` in group `railnet.io`, which is not a real
 * resource but what manifests/policies.yaml checks. A server that does not answer counts as yes: the policies decide.
 */
export async function mayLead(cluster: Cluster, node: string, signal?: AbortSignal): Promise<boolean> {
  const resourceAttributes = {
    group: "railnet.io",
    resource: "leaders",
    verb: "lead",
    name: node,
    namespace: cluster.namespace,
  };
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectAccessReview",
    metadata: {} as KubeObject["metadata"],
    spec: { resourceAttributes },
  };
  try {
    const { status } = await cluster.create<AccessReview>(ACCESS_REVIEWS, review, { signal });
    return status?.allowed !== false;
  } catch (error) {
    if (error instanceof ApiError) return true;
    throw error;
  }
}
