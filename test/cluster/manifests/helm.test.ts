import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { load, loadAll } from "js-yaml";
import t from "tap";
import { parseRails } from "../../../daemonset/rails/config.ts";
import { ApiServer, kubernetes, peer } from "../../../lab/cluster/api-server.ts";
import { type Json, pathOf } from "../../../lab/cluster/raw.ts";
import { must, start } from "../../../lab/netns/run.ts";
import { until } from "../../../lab/until.ts";

const PROJECT = new URL("../../../", import.meta.url).pathname;
const CHART = join(PROJECT, "manifests/helm");
const work = mkdtempSync(join(tmpdir(), "railnet-helm-"));
const api = await ApiServer.start({ small: false });
t.teardown(async () => {
  await api.stop();
  rmSync(work, { recursive: true });
});
const kubeconfig = api.kubeconfig();
const env = { HOME: work, HELM_CACHE_HOME: work, HELM_CONFIG_HOME: work, HELM_DATA_HOME: work, KUBECONFIG: kubeconfig };
const helm = (...args: string[]) => start(peer("helm"), args, { env });
const mustHelm = (...args: string[]) => must(peer("helm"), args, { env });

/** The objects of a text of YAML documents, with their keys in order, by kind and name. */
function objectsOf(text: string): Map<string, Json> {
  const objects = (loadAll(text) as Json[]).filter(Boolean);
  return new Map(
    objects.map((one) => [`${one.kind} ${one.metadata.name}`, one] as const).toSorted(([a], [b]) => (a < b ? -1 : 1)),
  );
}

const kustomized = (folder: string) =>
  objectsOf(execFileSync(kubernetes("kubectl"), ["kustomize", join(PROJECT, folder)], { encoding: "utf8" }));

/** What the chart makes with these values. */
async function rendered(values: Json = {}, ...more: string[]): Promise<Map<string, Json>> {
  const file = join(work, "values.json");
  writeFileSync(file, JSON.stringify(values));
  return objectsOf(await mustHelm("template", "railnet", CHART, "--namespace", "kube-system", "-f", file, ...more));
}

const agentOf = (objects: ReadonlyMap<string, Json>): Json => objects.get("DaemonSet railnet").spec.template.spec;

t.test("helm lint finds nothing", async (t) => {
  const { exit, stdout } = await helm("lint", "--strict", CHART);
  t.equal(exit, 0, stdout);
});

t.test("helm template makes the objects of kustomize, definitions and all", async (t) => {
  t.same(await rendered({}, "--include-crds"), kustomized("manifests"));
  const enabled = { enabled: true };
  const monitoring = { podMonitor: enabled, prometheusRule: enabled, dashboard: enabled };
  const [all, without] = [await rendered({ monitoring }), await rendered()];
  const added = new Map([...all].filter(([name]) => !without.has(name)));
  t.same(added, kustomized("manifests/monitoring"));
});

t.test("the label of pods comes where the API server knows MutatingAdmissionPolicy, and not before", async (t) => {
  const kind = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy";
  const [before, from136] = [await rendered(), await rendered({}, "--api-versions", kind)];
  const added = [...from136.keys()].filter((name) => !before.has(name));
  t.same(added, ["MutatingAdmissionPolicy rails.railnet.io", "MutatingAdmissionPolicyBinding rails.railnet.io"]);
});

t.test("in another namespace, everything is there", async (t) => {
  const text = await mustHelm("template", "railnet", CHART, "--namespace", "rails");
  t.notMatch(text.replaceAll(/^ *#.*$/gm, ""), /kube-system/);
  t.equal(objectsOf(text).get("DaemonSet railnet").metadata.namespace, "rails");
});

t.test("each value goes where it belongs", async (t) => {
  const digest = `sha256:${"a".repeat(64)}`;
  const objects = await rendered({
    image: { repository: "registry.example.com/railnet", tag: "9", digest, pullPolicy: "Always" },
    imagePullSecrets: [{ name: "registry" }],
    config: { logLevel: "debug", fence: "lease", whereabouts: "absent" },
    leaders: ["control-0"],
    policies: { enabled: false },
    agent: {
      aliases: ["sriov", "rdma"],
      metrics: "0.0.0.0:9809",
      extraArgs: ["--device-plugins", ""],
      extraEnv: [{ name: "A", value: "b" }],
      resources: { limits: { memory: "1Gi" } },
      priorityClassName: "high",
      nodeSelector: { rails: "yes" },
      tolerations: [{ key: "gpu", operator: "Exists" }],
      affinity: { nodeAffinity: {} },
      podLabels: { team: "net" },
      podAnnotations: { note: "{{ not a template }}" },
    },
    hostPaths: { plugins: "/bin/cni", cniConfig: "/cni/conf", devicePlugins: "/kubelet/plugins" },
  });
  const pod = agentOf(objects);
  const [agent] = pod.containers;
  t.match(agent, {
    image: `registry.example.com/railnet:9@${digest}`,
    imagePullPolicy: "Always",
    args: [
      "agent",
      "--install",
      "--alias",
      "sriov",
      "--alias",
      "rdma",
      "--metrics",
      "0.0.0.0:9809",
      "--device-plugins",
      "",
    ],
  });
  t.same(agent.resources, { limits: { memory: "1Gi" }, requests: { cpu: "50m", memory: "100Mi" } });
  t.same(agent.env.at(-1), { name: "A", value: "b" });
  t.match(pod, {
    imagePullSecrets: [{ name: "registry" }],
    priorityClassName: "high",
    nodeSelector: { "kubernetes.io/os": "linux", rails: "yes" },
    tolerations: [{ key: "gpu", operator: "Exists" }],
    affinity: { nodeAffinity: {} },
  });
  t.equal(pod.tolerations.length, 1);
  const { metadata } = objects.get("DaemonSet railnet").spec.template;
  t.match(metadata, { labels: { team: "net" }, annotations: { note: "{{ not a template }}" } });
  t.equal(metadata.labels["app.kubernetes.io/name"], "railnet", "by which the DaemonSet finds its pods");
  const pathOfVolume = (name: string) => pod.volumes.find((one: Json) => one.name === name).hostPath.path;
  t.same(["plugins", "cni-config", "device-plugins"].map(pathOfVolume), ["/bin/cni", "/cni/conf", "/kubelet/plugins"]);
  t.match(objects.get("ConfigMap railnet-config").data, { logLevel: "debug", fence: "lease", whereabouts: "absent" });
  t.notOk([...objects.keys()].some((name) => name.startsWith("ValidatingAdmissionPolicy")));
  const leaders = objects.get("Role railnet").rules.find(({ resources }: Json) => resources.includes("leaders"));
  t.same(leaders.resourceNames, ["control-0"]);
});

t.test("rails of the values are the rails of the example, as the agent reads them", async (t) => {
  const example = (load(readFileSync(join(PROJECT, "manifests/examples/config.yaml"), "utf8")) as Json).data.rails;
  const objects = await rendered({ config: { rails: load(example) } });
  t.same(parseRails(objects.get("ConfigMap railnet-config").data.rails), parseRails(example));
  const numbers = await rendered({ config: { rails: [{ name: "r", pf: { vendors: ["8086", "0123"] } }] } });
  t.same(parseRails(numbers.get("ConfigMap railnet-config").data.rails)[0]!.pf.vendors, ["8086", "0123"]);
});

t.test("a value that is none is refused by its name", async (t) => {
  const rail = (more: object) => ({ config: { rails: [{ name: "r", pf: { names: ["a"] }, ...more }] } });
  for (const [values, says] of [
    [{ imgae: {} }, /imgae/],
    [{ image: { digest: "sha256:1" } }, /digest/],
    [{ agent: { aliases: ["flannel"] } }, /aliases/],
    [{ config: { logLevel: "trace" } }, /logLevel/],
    [rail({ pf: {} }), /pf/],
    [rail({ vf: 8 }), /vf/],
    [rail({ name: "R" }), /name/],
    [rail({ pf: { vendors: [8086] } }), /vendors/],
  ] as const) {
    const file = join(work, "wrong.json");
    writeFileSync(file, JSON.stringify(values));
    const { exit, stderr } = await helm("template", "railnet", CHART, "-f", file);
    t.not(exit, 0);
    t.match(stderr, says);
  }
});

t.test("helm install, upgrade and uninstall on an API server", async (t) => {
  const release = ["railnet", CHART, "--namespace", "kube-system"];
  await mustHelm("install", ...release, "--set", "config.logLevel=debug");
  const objects = await rendered({}, "--include-crds");
  for (const [name, object] of objects) t.equal((await api.raw.request("GET", pathOf(object))).status, 200, name);
  const settings = "/api/v1/namespaces/kube-system/configmaps/railnet-config";
  t.equal((await api.raw.get(settings)).data.logLevel, "debug");
  await api.raw.merge(settings, { data: { whereabouts: "absent" } }); // as `railnet ipam takeover finish` does
  await mustHelm("upgrade", ...release, "--set", "image.repository=registry.example.com/railnet");
  const { data } = await api.raw.get(settings);
  t.equal(data.whereabouts, "absent", "what a takeover has set stays");
  t.notOk(data.logLevel, "what the values no longer say goes");
  const { spec } = await api.raw.get("/apis/apps/v1/namespaces/kube-system/daemonsets/railnet");
  t.match(spec.template.spec.containers[0].image, /^registry\.example\.com\/railnet:/);
  await mustHelm("uninstall", "railnet", "--namespace", "kube-system");
  for (const [name, object] of objects)
    if (object.kind === "CustomResourceDefinition")
      t.equal((await api.raw.request("GET", pathOf(object))).status, 200, `${name} stays: Whereabouts may need it`);
    else await until(`${name} is gone`, async () => (await api.raw.request("GET", pathOf(object))).status === 404);
});

t.test("objects that kubectl made become the release's without a new pod", async (t) => {
  const apply = ["apply", "--server-side", "-k", join(PROJECT, "manifests")];
  await must(kubernetes("kubectl"), apply, { env });
  const path = "/apis/apps/v1/namespaces/kube-system/daemonsets/railnet";
  const before = await api.raw.get(path);
  const { exit, stderr } = await helm(
    "install",
    "railnet",
    CHART,
    "--namespace",
    "kube-system",
    "--take-ownership",
    "--force-conflicts",
  );
  t.equal(exit, 0, stderr);
  const after = await api.raw.get(path);
  t.equal(after.metadata.uid, before.metadata.uid);
  t.same(after.spec, before.spec);
  t.equal(after.metadata.generation, before.metadata.generation, "nothing restarts");
});
