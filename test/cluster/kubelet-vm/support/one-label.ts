import { readFileSync } from "node:fs";
import { join } from "node:path";
import { loadYaml } from "@kubernetes/client-node";
import type { Test } from "tap";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { ungoverned } from "../../../../lab/kubelet/governed.ts";
import { linksOf, netnsOf, ping } from "../../../../lab/kubelet/pod-network.ts";
import { networkStatus, podObject } from "../../../../lab/kubelet/pods.ts";
import { until } from "../../../../lab/until.ts";
import { RAILS, VFS } from "./rails.ts";
import type { Worker } from "./worker.ts";

const README = join(import.meta.dirname, "../../../../README.md");
const LIMIT_MS = 240_000;
const DEFAULT = "/api/v1/namespaces/default";
const [PODS, NADS] = [`${DEFAULT}/pods?labelSelector=app%3Dtrain`, "/apis/k8s.cni.cncf.io/v1/namespaces/default/network-attachment-definitions"]; // biome-ignore format: one row

/** What the user writes: a RailNetwork, and the labels of his pods. */
export interface Written {
  readonly network: Json;
  readonly labels: Readonly<Record<string, string>>;
}

/** The README's first example: all VFs in sets. Of it only what this machine's NICs do not have is left out: their names, RDMA, jumbo frames. */
export function ofReadme(): Written {
  const [network, pod] = readFileSync(README, "utf8").split(/^```yaml$/m).slice(1).map((text) => loadYaml<Json>(text.split(/^```$/m)[0]!)); // biome-ignore format: one row
  const rails = network.spec.rails.map(({ rdma: _, mtu: __, ...rail }: Json) => ({ ...rail, pf: { names: [rail.name] }, vfs: VFS })); // biome-ignore format: one row
  return { network: { ...network, spec: { ...network.spec, rails, sets: VFS } }, labels: pod!.metadata.labels };
}

/** Applies it with a Deployment of two, and looks at all that they get. At the end it is gone. */
export async function oneLabel(t: Test, worker: Worker, { network, labels }: Written): Promise<void> {
  const { api, containerd, node } = worker;
  const { name } = network.metadata;
  const { sets = 0 } = network.spec;
  await api.raw.apply(network);
  const made = async () => (await api.raw.list(NADS)).filter(({ metadata }) => metadata.labels?.["railnet.io/network"] === name).length; // biome-ignore format: one row
  const all = RAILS.length + Number(sets > 0);
  await until("the leader has made the networks", async () => (await made()) === all, { limitMs: LIMIT_MS });
  if (sets > 0) await until("the sets are offered", async () => (await worker.allocatable())["railnet.io/rails"] === `${sets}`, { limitMs: LIMIT_MS }); // biome-ignore format: one row
  const { metadata, spec } = podObject("train", { labels: { ...labels, app: "train" } });
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
    const of = (rail: string) => (sets > 0 ? name : `${name}-${rail}`);
    t.same(status.map(({ name, interface: link }) => `${name} ${link}`), RAILS.map((rail) => `default/${of(rail)} ${rail}`), "network-status has all rails by name"); // biome-ignore format: one row
    const netns = await netnsOf({ containerd }, pod.metadata.name);
    const links = (await linksOf(node, netns)).filter(({ ifname }) => RAILS.includes(ifname));
    t.same(links.map(({ addr_info: [{ local }] }) => local), status.map(({ ips }) => ips![0])); // biome-ignore format: one row
    const places = new Set(status.map(({ ips }) => ips![0]!.split(".")[3]));
    if (network.spec.pods.sameIndex) t.equal(places.size, 1, "the same last byte on every rail");
    for (const { interface: link, ips } of networkStatus(running[1 - i])) {
      const { exit, stdout } = await ping(node, netns, link, ips![0]!);
      t.equal(exit, 0, `the other pod is reached by ${link}`, { stdout });
    }
  }
  await otherMac(t, worker, running);
  await api.raw.delete("/apis/apps/v1/namespaces/default/deployments/train");
  await until("they are gone", async () => (await api.raw.list(PODS)).length === 0, { limitMs: LIMIT_MS, everyMs: 500 }); // biome-ignore format: one row
  await api.raw.delete(`/apis/railnet.io/v1alpha1/railnetworks/${name}`);
  await until("the networks are gone", async () => (await made()) === 0, { limitMs: LIMIT_MS });
  await ungoverned(node);
}

/** Root in a pod takes another MAC, or tries to: at the PF, which decides what a real NIC lets out, all is as it was. */
async function otherMac(t: Test, { containerd, node }: Worker, running: readonly Json[]): Promise<void> {
  const atPf = async () => {
    const [pf] = JSON.parse(await node.exec(["ip", "-j", "-d", "link", "show", "rail0"]));
    return pf.vfinfo_list.filter(({ address }: Json) => running.some((pod) => networkStatus(pod)[0]?.mac === address));
  };
  const before = await atPf();
  t.match(before, [{ spoofchk: true, trust: false }, { spoofchk: true, trust: false }], "as the RailNetwork has it by default"); // biome-ignore format: one row
  const netns = await netnsOf({ containerd }, running[0].metadata.name);
  const ip = (...args: string[]) => node.run(["nsenter", `--net=${netns}`, "ip", ...args]);
  await ip("link", "set", "rail0", "down");
  const { exit } = await ip("link", "set", "rail0", "address", "02:66:66:66:66:66");
  t.not(exit, 0, "the driver refuses it, since the MAC is an administrator's");
  t.same(await atPf(), before, "MAC, spoof check and trust at the PF");
}

/** What somebody gets who is past admission: here there are no policies that refuse. */
export async function pastAdmission(t: Test, { api, rails }: Worker): Promise<void> {
  await api.raw.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "others" } });
  const reference = { cniVersion: "1.0.0", name: "mine", type: "railnet-sriov", network: "ishikari", rail: "rail0" };
  const tries = [
    { namespace: "others", config: reference, message: /pods of namespace others may not use it/ },
    { namespace: "default", config: { ...reference, trust: "on" }, message: /RailNetwork ishikari sets this/ },
    { namespace: "default", config: { ...reference, deviceID: rails[0]!.vfs[VFS - 1]!.pci }, resources: {}, message: /the kubelet did not give it to this pod/ }, // biome-ignore format: one row
  ];
  for (const [i, { namespace, config, resources = { "railnet.io/rail0": 1 } }] of tries.entries()) {
    await api.raw.apply({ apiVersion: "k8s.cni.cncf.io/v1", kind: "NetworkAttachmentDefinition", metadata: { name: `mine${i}`, namespace, annotations: { "k8s.v1.cni.cncf.io/resourceName": Object.keys(resources)[0] ?? "" } }, spec: { config: JSON.stringify(config) } }); // biome-ignore format: one row
    const pod = podObject(`try${i}`, { networks: [`mine${i}`], resources });
    await api.raw.post(`/api/v1/namespaces/${namespace}/pods`, { ...pod, metadata: { ...pod.metadata, namespace } });
  }
  for (const [i, { namespace, message }] of tries.entries()) {
    const of = `/api/v1/namespaces/${namespace}`;
    let said: string[] = [];
    const isSaid = async () => {
      said = (await api.raw.list(`${of}/events?fieldSelector=involvedObject.name%3Dtry${i}`)).map(({ message }) => message); // biome-ignore format: one row
      return said.some((one) => message.test(one));
    };
    await until(`try${i} is told why`, isSaid, { limitMs: LIMIT_MS, everyMs: 500 }).catch(() => t.match(said, message));
    t.not((await api.raw.get(`${of}/pods/try${i}`)).status.phase, "Running");
  }
  for (const [i, { namespace }] of tries.entries()) {
    const path = `/api/v1/namespaces/${namespace}/pods/try${i}`;
    await api.raw.delete(path);
    await until(`try${i} is gone`, async () => (await api.raw.request("GET", path)).status === 404, {
      limitMs: LIMIT_MS,
    });
    await api.raw.delete(`/apis/k8s.cni.cncf.io/v1/namespaces/${namespace}/network-attachment-definitions/mine${i}`);
  }
}
