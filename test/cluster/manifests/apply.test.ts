import { execFileSync } from "node:child_process";
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { parseRails } from "../../../daemonset/rails/config.ts";
import { ApiServer, kubernetes } from "../../../lab/cluster/api-server.ts";
import { type Document, installNads, readYaml } from "../../../lab/cluster/install.ts";
import { type Json, pathOf } from "../../../lab/cluster/raw.ts";
import { start } from "../../../lab/netns/run.ts";
import { until } from "../../../lab/until.ts";

const api = await ApiServer.start({ small: false });
t.teardown(() => api.stop());
const PROJECT = new URL("../../../", import.meta.url).pathname;
const all = await readYaml(`${PROJECT}manifests/railnet.yaml`);

/** Server-side apply that refuses what the API does not know. */
const apply = (document: Document, more = "") =>
  api.raw.request("PATCH", `${pathOf(document.object)}?fieldManager=kubectl&fieldValidation=Strict${more}`, {
    body: document.text,
    contentType: "application/apply-patch+yaml",
  });

t.test(
  "scripts/manifests.sh --check says that railnet.yaml and the chart are as their parts, and when they are stale",
  async (t) => {
    const copy = mkdtempSync(join(tmpdir(), "railnet-manifests-"));
    t.teardown(() => rmSync(copy, { recursive: true }));
    for (const part of ["manifests", "scripts", "package.json"])
      cpSync(join(PROJECT, part), join(copy, part), { recursive: true });
    symlinkSync(join(PROJECT, "node_modules"), join(copy, "node_modules"));
    const check = () => start("bash", [join(copy, "scripts/manifests.sh"), "--check"]);
    t.match(await check(), { exit: 0, stderr: "" });
    appendFileSync(join(copy, "manifests/config.yaml"), "# a change\n");
    const both =
      "manifests/railnet.yaml is stale: run scripts/manifests.sh\nmanifests/helm is stale (templates/config.yaml): run scripts/manifests.sh\n";
    t.match(await check(), { exit: 1, stderr: both });
    await start("bash", [join(copy, "scripts/manifests.sh")]);
    t.match(await check(), { exit: 0, stderr: "" });
    const daemonSet = join(copy, "manifests/daemonset.yaml");
    writeFileSync(daemonSet, readFileSync(daemonSet, "utf8").replace("memory: 512Mi", "memory: 600Mi"));
    t.match(await check(), { exit: 1, stderr: /cannot make the chart: manifests\/daemonset\.yaml .*512Mi/ });
  },
);

t.test("kubectl kustomize makes the same objects of the folder", async (t) => {
  const text = execFileSync(kubernetes("kubectl"), ["kustomize", join(PROJECT, "manifests")], { encoding: "utf8" });
  const { loadYaml } = await import("@kubernetes/client-node");
  const built = text.split(/^---$/m).map((document) => loadYaml<Json>(document));
  const sorted = (objects: readonly Json[]) => objects.map((object) => JSON.stringify(ordered(object))).sort();
  t.same(sorted(built), sorted(all.map(({ object }) => object)));
});

t.test("every object of manifests/railnet.yaml is valid, in a dry run and for good, twice", async (t) => {
  const system = await api.raw.request("GET", "/apis/scheduling.k8s.io/v1/priorityclasses/system-node-critical");
  t.equal(system.status, 200, "the API server itself makes it");
  const said = async (more: string) =>
    Promise.all(
      all.map(async (one) => [one.object.kind, one.object.metadata.name, ...failure(await apply(one, more))]),
    );
  const fine = all.map(({ object }) => [object.kind, object.metadata.name]);
  t.same(await said("&dryRun=All"), fine);
  t.same(await said(""), fine);
  t.same(await said(""), fine, "an upgrade applies it again");
});

const failure = ({ status, body }: Json): string[] => (status < 300 ? [] : [`${status} ${body.message ?? body}`]);

t.test("applying it again keeps what a takeover has set, and changes what it names", async (t) => {
  const settings = "/api/v1/namespaces/kube-system/configmaps/railnet-config";
  await api.raw.merge(settings, { data: { whereabouts: "absent" } });
  for (const one of all) if (one.object.kind === "ConfigMap") t.equal((await apply(one)).status, 200);
  const { data } = await api.raw.get(settings);
  t.equal(data.whereabouts, "absent");
  t.same(parseRails(data.rails), [], "no rails unless somebody says which");
});

t.test("the DaemonSet is everywhere, comes before pods, and is replaced without a gap", async (t) => {
  const { spec } = await api.raw.get("/apis/apps/v1/namespaces/kube-system/daemonsets/railnet");
  const pod = spec.template.spec;
  t.same(spec.updateStrategy, { type: "RollingUpdate", rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
  t.same(pod.tolerations, [{ operator: "Exists" }]);
  t.match(pod, {
    hostNetwork: true,
    hostPID: true,
    priorityClassName: "system-node-critical",
    serviceAccountName: "railnet",
  });
  t.ok(pod.terminationGracePeriodSeconds > 110, "longer than an ADD may take");
  const [agent] = pod.containers;
  t.same(agent.ports, undefined, "the second pod of an upgrade could not be scheduled");
  for (const [probe, page] of [
    [agent.readinessProbe, "/readyz"],
    [agent.livenessProbe, "/healthz"],
  ]) {
    t.same(probe.exec.command, ["/usr/bin/railnet-probe", page], "no port, which another program may have");
    t.notOk(probe.httpGet);
  }
  const mounted = agent.volumeMounts.map(({ name }: Json) => name).sort();
  t.same(pod.volumes.map(({ name }: Json) => name).sort(), mounted, "no volume that nobody mounts");
  for (const { hostPath, name } of pod.volumes)
    if (hostPath) t.equal(agent.volumeMounts.find((mount: Json) => mount.name === name).mountPath, hostPath.path, name);
  const { version } = JSON.parse(readFileSync(join(PROJECT, "package.json"), "utf8"));
  t.equal(agent.image, `railnet.io/railnet:${version}`, "the image that scripts/image.sh builds");
});

t.test("each mount of the DaemonSet stands under its reason", async (t) => {
  const lines = readFileSync(join(PROJECT, "manifests/daemonset.yaml"), "utf8").split("\n");
  const mounts = [...lines.keys()].filter((n) => /^ +- name: /.test(lines[n]!) && /mountPath/.test(lines[n + 1] ?? ""));
  t.ok(mounts.length >= 10);
  for (const n of mounts) t.match(lines[n - 1], /^ +# /, `line ${n + 1}`);
});

t.test("the examples are valid, and each network's resource is a rail's", async (t) => {
  await installNads(api.raw);
  await until("default has its service account", async () => {
    const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "default", namespace: "default" } };
    return (await api.raw.apply(account)).kind === "ServiceAccount";
  });
  const files = ["config", "networks", "pod"].map((name) => join(PROJECT, `manifests/examples/${name}.yaml`));
  const [[config], networks, [pod]] = (await Promise.all(files.map(readYaml))) as [Document[], Document[], Document[]];
  for (const one of [config!, ...networks, pod!]) t.same(failure(await apply(one, "&dryRun=All&force=true")), []);
  const resources = parseRails(config!.object.data.rails).map(({ resource }) => resource);
  t.same(
    networks.map(({ object }) => object.metadata.annotations["k8s.v1.cni.cncf.io/resourceName"]),
    resources,
  );
  t.same(Object.keys(pod!.object.spec.containers[0].resources.limits), resources);
  const named = pod!.object.metadata.annotations["k8s.v1.cni.cncf.io/networks"].split(", ");
  t.same(
    networks.map(({ object }) => object.metadata.name),
    named,
  );
  for (const { object } of networks)
    t.match(JSON.parse(object.spec.config), {
      type: "railnet-sriov",
      name: object.metadata.name,
      ipam: { type: "railnet-ipam" },
    });
});

/** With its keys in order: kustomize sorts them. */
function ordered(value: Json): Json {
  if (Array.isArray(value)) return value.map(ordered);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, ordered(value[key])]),
  );
}
