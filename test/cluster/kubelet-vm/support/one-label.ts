import type { Test } from "tap";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { linksOf, netnsOf, ping } from "../../../../lab/kubelet/pod-network.ts";
import { networkStatus, podObject } from "../../../../lab/kubelet/pods.ts";
import { until } from "../../../../lab/until.ts";
import { RAILS, VFS } from "./rails.ts";
import type { Worker } from "./worker.ts";

const LIMIT_MS = 600_000;
const DEFAULT = "/api/v1/namespaces/default";
const [PODS, NADS] = [`${DEFAULT}/pods?labelSelector=app%3Dtrain`, "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions"]; // biome-ignore format: one row

/** A RailNetwork and a Deployment of two whose pods carry one label: all that a user writes. */
export async function oneLabel(t: Test, worker: Worker): Promise<void> {
  const { api, containerd, node } = worker;
  const network = {
    apiVersion: "railnet.io/v1alpha1",
    kind: "RailNetwork",
    metadata: { name: "ishikari" },
    spec: {
      rails: RAILS.map((name, i) => ({ name, pf: { names: [name] }, vfs: VFS, subnet: `10.210.${i}.0/24` })),
      pods: { namespaces: { matchLabels: { rails: "allowed" } } },
    },
  };
  await api.raw.merge(DEFAULT, { metadata: { labels: { rails: "allowed" } } });
  await api.raw.apply(network);
  const made = async () => (await api.raw.list(NADS)).filter(({ metadata }) => metadata.name.startsWith("ishikari-")).length; // biome-ignore format: one row
  await until("the leader has made the networks", async () => (await made()) === RAILS.length, { limitMs: LIMIT_MS });
  const { metadata, spec } = podObject("train", { labels: { app: "train", "railnet.io/rails": "all" } });
  const template = { metadata: { labels: metadata.labels }, spec: { ...spec, containers: [{ ...spec.containers[0], resources: {} }] } }; // biome-ignore format: one row
  await api.raw.apply({ apiVersion: "apps/v1", kind: "Deployment", metadata: { name: "train", namespace: "default" }, spec: { replicas: 2, selector: { matchLabels: { app: "train" } }, template } }); // biome-ignore format: one row
  let running: Json[] = [];
  const isUp = async () => {
    running = (await api.raw.list(PODS)).filter(({ status }) => status.containerStatuses?.[0]?.ready);
    return running.length === 2;
  };
  await until("both pods run", isUp, { limitMs: LIMIT_MS, everyMs: 500 });
  for (const [i, pod] of running.entries()) {
    const status = networkStatus(pod);
    t.same(status.map(({ name, interface: link }) => `${name} ${link}`), RAILS.map((rail) => `default/ishikari-${rail} ${rail}`), "network-status has all rails by name"); // biome-ignore format: one row
    const netns = await netnsOf({ containerd }, pod.metadata.name);
    const links = (await linksOf(node, netns)).filter(({ ifname }) => RAILS.includes(ifname));
    t.same(links.map(({ addr_info: [{ local }] }) => local), status.map(({ ips }) => ips![0])); // biome-ignore format: one row
    for (const { interface: link, ips } of networkStatus(running[1 - i])) {
      const { exit, stdout } = await ping(node, netns, link, ips![0]!);
      t.equal(exit, 0, `the other pod is reached by ${link}`, { stdout });
    }
  }
  const [pf] = JSON.parse(await node.exec(["ip", "-j", "link", "show", "rail0"]));
  const taken = pf.vfinfo_list.filter(({ address }: Json) => running.some((pod) => networkStatus(pod)[0]?.mac === address)); // biome-ignore format: one row
  t.match(taken, [{ spoofchk: true, trust: false }, { spoofchk: true, trust: false }], "as the RailNetwork has it by default"); // biome-ignore format: one row
  await api.raw.delete("/apis/apps/v1/namespaces/default/deployments/train");
  await until("they are gone", async () => (await api.raw.list(PODS)).length === 0, { limitMs: LIMIT_MS, everyMs: 500 }); // biome-ignore format: one row
  await api.raw.delete("/apis/railnet.io/v1alpha1/railnetworks/ishikari");
  await until("the networks are gone", async () => (await made()) === 0, { limitMs: LIMIT_MS });
  await ungoverned(worker);
}

/** Waits until networks written by hand may have the VFs again. */
export async function ungoverned({ node }: Pick<Worker, "node">): Promise<void> {
  const governed = async () => (await node.run(["test", "-e", "/var/lib/railnet/governed-rails.json"])).exit === 0;
  await until("no RailNetwork has the VFs", async () => !(await governed()), { limitMs: LIMIT_MS, everyMs: 500 });
}
