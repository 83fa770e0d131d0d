import type { Json } from "../cluster/raw.ts";

/** Of the daemon in a pod. */
export const IMAGE = "registry.local/multus:1";

/** As upstream's manifest has it: mounts, limits, tolerations. */
export const DAEMON_SET: Json = {
  apiVersion: "apps/v1",
  kind: "DaemonSet",
  metadata: { name: "kube-multus", namespace: "kube-system" },
  spec: {
    selector: { matchLabels: { app: "multus" } },
    template: {
      metadata: { labels: { app: "multus" } },
      spec: {
        hostNetwork: true,
        hostPID: true,
        serviceAccountName: "multus",
        tolerations: [{ operator: "Exists" }],
        terminationGracePeriodSeconds: 10,
        ...withMounts({
          name: "kube-multus",
          image: IMAGE,
          imagePullPolicy: "Never",
          command: ["/usr/src/multus-cni/bin/multus-daemon"],
          resources: { requests: { cpu: "100m", memory: "50Mi" }, limits: { cpu: "100m", memory: "50Mi" } },
          securityContext: { privileged: true },
          env: [{ name: "MULTUS_NODE_NAME", valueFrom: { fieldRef: { fieldPath: "spec.nodeName" } } }],
        }),
      },
    },
  },
};

function withMounts(container: Json): Json {
  const down = { mountPropagation: "HostToContainer" };
  const paths: Record<string, [host: string, inside: string, more?: Json]> = {
    cni: ["/etc/cni/net.d", "/host/etc/cni/net.d"],
    cnibin: ["/opt/cni/bin", "/opt/cni/bin"],
    run: ["/run", "/host/run"],
    state: ["/var/lib/cni/multus", "/var/lib/cni/multus"],
    kubelet: ["/var/lib/kubelet", "/var/lib/kubelet", down],
    devinfo: ["/run/k8s.cni.cncf.io", "/run/k8s.cni.cncf.io"],
    netns: ["/run/netns", "/run/netns", down],
    config: ["/run/multus-daemon.json", "/etc/cni/net.d/multus.d/daemon-config.json"],
    hostroot: ["/", "/hostroot", down],
    nads: ["/etc/cni/multus/net.d", "/etc/cni/multus/net.d"],
  };
  const mounts = Object.entries(paths);
  return {
    volumes: mounts.map(([name, [path]]) => ({ name, hostPath: { path } })),
    containers: [
      { ...container, volumeMounts: mounts.map(([name, [, mountPath, more]]) => ({ name, mountPath, ...more })) },
    ],
  };
}

const ROLE = { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "multus" };

/** Upstream's account and rights. */
export const RBAC: readonly Json[] = [
  { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "multus", namespace: "kube-system" } },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRole",
    metadata: { name: "multus" },
    rules: [
      { apiGroups: ["k8s.cni.cncf.io"], resources: ["*"], verbs: ["*"] },
      { apiGroups: [""], resources: ["pods", "pods/status"], verbs: ["get", "list", "update", "watch"] },
      { apiGroups: ["", "events.k8s.io"], resources: ["events"], verbs: ["create", "patch", "update"] },
    ],
  },
  {
    apiVersion: "rbac.authorization.k8s.io/v1",
    kind: "ClusterRoleBinding",
    metadata: { name: "multus" },
    roleRef: ROLE,
    subjects: [{ kind: "ServiceAccount", name: "multus", namespace: "kube-system" }],
  },
];
