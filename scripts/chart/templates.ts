/** An exact piece of a manifest, and what stands in its place in the chart. */
export interface Change {
  readonly from: string;
  readonly to: string;
  /** How often it stands there; a manifest that changed so that this is not true stops the generation. */
  readonly times?: number | "some";
}

/** A field's value in the place of a block. `indent`: columns of the value. */
const yamlOf = (value: string, indent: number): string => `{{- toYaml ${value} | nindent ${indent} }}`;

/** Lines that stand only where a value is not empty. */
const withYaml = (value: string, key: string, column: number): string => {
  const at = " ".repeat(column);
  return `${at}{{- with ${value} }}\n${at}${key}:\n${at}  ${yamlOf(".", column + 2)}\n${at}{{- end }}\n`;
};

/** The same inside of a map that has entries already. */
const withMore = (value: string, column: number): string =>
  `${" ".repeat(column)}{{- with ${value} }}\n${" ".repeat(column)}${yamlOf(".", column)}\n${" ".repeat(column)}{{- end }}\n`;

const hostPath = (name: string, path: string, value: string): Change => ({
  from: `- name: ${name}\n          hostPath: { path: ${path},`,
  to: `- name: ${name}\n          hostPath: { path: {{ .Values.hostPaths.${value} | quote }},`,
});

const daemonSet = (version: string): readonly Change[] => [
  { from: `image: railnet.io/railnet:${version}\n`, to: 'image: {{ include "railnet.image" . | quote }}\n' },
  { from: "imagePullPolicy: IfNotPresent", to: "imagePullPolicy: {{ .Values.image.pullPolicy }}" },
  { from: "args: [agent, --install]", to: 'args: {{ include "railnet.args" . }}' },
  {
    from: "      labels:\n        app.kubernetes.io/name: railnet\n      annotations:\n        kubectl.kubernetes.io/default-container: agent\n",
    to: `      labels:\n        app.kubernetes.io/name: railnet\n${withMore(".Values.agent.podLabels", 8)}      annotations:\n        kubectl.kubernetes.io/default-container: agent\n${withMore(".Values.agent.podAnnotations", 8)}`,
  },
  {
    from: "      serviceAccountName: railnet\n",
    to: `      serviceAccountName: railnet\n${withYaml(".Values.imagePullSecrets", "imagePullSecrets", 6)}${withYaml(".Values.agent.affinity", "affinity", 6)}`,
  },
  {
    from: "priorityClassName: system-node-critical",
    to: "priorityClassName: {{ .Values.agent.priorityClassName }}",
  },
  {
    from: "      tolerations:\n        - operator: Exists\n",
    to: `      tolerations:\n        ${yamlOf(".Values.agent.tolerations", 8)}\n`,
  },
  {
    from: "      nodeSelector:\n        kubernetes.io/os: linux\n",
    to: `      nodeSelector:\n        ${yamlOf(".Values.agent.nodeSelector", 8)}\n`,
  },
  {
    from: '            - name: MIMALLOC_PURGE_HOLES\n              value: "0"\n',
    to: `            - name: MIMALLOC_PURGE_HOLES\n              value: "0"\n${withMore(".Values.agent.extraEnv", 12)}`,
  },
  {
    from: "          resources:\n            requests:\n              cpu: 50m\n              memory: 100Mi\n            limits:\n              memory: 512Mi\n",
    to: `          resources:\n            ${yamlOf(".Values.agent.resources", 12)}\n`,
  },
  hostPath("plugins", "/opt/cni/bin", "plugins"),
  hostPath("cni-config", "/etc/cni/net.d", "cniConfig"),
  hostPath("device-plugins", "/var/lib/kubelet/device-plugins", "devicePlugins"),
];

const CONFIG: readonly Change[] = [
  {
    from: "  rails: |\n    []\n",
    to: `  rails: |\n    ${yamlOf(".Values.config.rails", 4)}\n${["logLevel", "fence", "whereabouts"].map((key) => `  {{- with .Values.config.${key} }}\n  ${key}: {{ . | quote }}\n  {{- end }}\n`).join("")}`,
  },
];

const RBAC: readonly Change[] = [
  {
    from: "    resources: [leaders]\n",
    to: "    resources: [leaders]\n    {{- with .Values.leaders }}\n    resourceNames: {{ toJson . }}\n    {{- end }}\n",
  },
];

const LABELS = "  labels:\n    app.kubernetes.io/name: railnet\n";
const moreLabels = (of: string): Change => ({
  from: LABELS,
  to: `${LABELS}${withMore(`.Values.monitoring.${of}.labels`, 4)}`,
});

/** One file of manifests/ as a template of the chart. */
export interface Template {
  /** Below manifests/. */
  readonly from: string;
  readonly changes: readonly Change[];
  /** Value that must be true. */
  readonly when?: string;
  /** Kind that the API server must have. */
  readonly kind?: string;
}

/** @param version of the package, which the DaemonSet's image has. */
export const templates = (version: string): readonly Template[] => [
  { from: "rbac.yaml", changes: RBAC },
  { from: "policies.yaml", changes: [], when: "policies.enabled" },
  {
    from: "admission.yaml",
    changes: [],
    when: "policies.enabled",
    kind: "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy",
  },
  { from: "config.yaml", changes: CONFIG },
  { from: "daemonset.yaml", changes: daemonSet(version) },
  { from: "monitoring/podmonitor.yaml", changes: [moreLabels("podMonitor")], when: "monitoring.podMonitor.enabled" },
  {
    from: "monitoring/prometheusrule.yaml",
    changes: [
      moreLabels("prometheusRule"),
      {
        from: "runbook_url: docs/alerts.md#",
        to: "runbook_url: {{ $.Values.monitoring.prometheusRule.runbook }}#",
        times: "some",
      },
    ],
    when: "monitoring.prometheusRule.enabled",
  },
];

/**
 * A manifest as a template: what is Helm's own in it is escaped, its namespace is the release's. Pure.
 *
 * @throws {Error} naming the piece that no longer stands in the manifest as it is expected here.
 */
export function templateOf(text: string, { from: file, changes, when, kind }: Template): string {
  const escaped = text.replaceAll("{{", '{{ "{{" }}');
  const changed = changes.reduce((before, change) => apply(before, change, file), escaped);
  const placed = changed.replaceAll("namespace: kube-system", "namespace: {{ .Release.Namespace }}");
  const condition = kind ? `and .Values.${when} (.Capabilities.APIVersions.Has "${kind}")` : `.Values.${when}`;
  return when ? `{{- if ${condition} }}\n${placed.trimEnd()}\n{{- end }}\n` : placed;
}

function apply(text: string, { from, to, times = 1 }: Change, file: string): string {
  const found = text.split(from).length - 1;
  const isRight = times === "some" ? found > 0 : found === times;
  if (isRight) return text.replaceAll(from, () => to);
  throw new Error(
    `cannot make the chart: manifests/${file} has ${JSON.stringify(from)} ${found} times, not ${times}; change scripts/chart/templates.ts with it`,
  );
}
