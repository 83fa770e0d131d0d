/** Admission plugins that need controllers which do not run here, or objects that no test creates. ServiceAccount would refuse every pod. */
const ADMISSION = [
  ...["MutatingAdmissionWebhook", "ValidatingAdmissionWebhook", "MutatingAdmissionPolicy", "ValidatingAdmissionPolicy"],
  ...["RuntimeClass", "DefaultIngressClass", "DefaultStorageClass", "StorageObjectInUseProtection", "PodSecurity"],
  ...["Priority", "TaintNodesByCondition", "CertificateApproval", "CertificateSigning", "ClusterTrustBundleAttest"],
  ...["CertificateSubjectRestriction", "PersistentVolumeClaimResize", "ResourceQuota", "LimitRanger", "ServiceAccount"],
];
const APIS = [
  ...["autoscaling/v1", "autoscaling/v2", "batch/v1", "apps/v1", "policy/v1", "storage.k8s.io/v1", "node.k8s.io/v1"],
  ...["scheduling.k8s.io/v1", "certificates.k8s.io/v1"],
];

/** Arguments of a kube-apiserver that serves what IPAM uses. */
export const SMALL = [
  "--enable-priority-and-fairness=false",
  "--profiling=false",
  `--disable-admission-plugins=${ADMISSION.join(",")}`,
  `--runtime-config=${APIS.map((api) => `${api}=false`).join(",")}`,
];
