import type { Json } from "../../../../lab/cluster/raw.ts";
import { OPERATORS } from "./operator-pods.ts";

// Pods and RailNetworks at random, and what shall become of such a pod, written from docs/rail-objects.md without CEL.

export const NETWORKS = "k8s.v1.cni.cncf.io/networks";
const [RAILS, NETWORK, IPC_LOCK] = ["railnet.io/rails", "railnet.io/network", "railnet.io/ipc-lock"] as const;
type Random = () => number;
const pick = <T>(random: Random, of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
const some = <T>(random: Random, of: readonly T[]): T[] => of.filter(() => random() < 0.5);

/** RailNetworks with pods; their namespaces by `team`, so that a namespace may use none, one or both. */
export function someNetworks(random: Random): Json[] {
  return ["ishikari", "teshio.b"].map((name, i) => ({
    apiVersion: "railnet.io/v1alpha1",
    kind: "RailNetwork",
    metadata: { name },
    spec: {
      rails: Array.from({ length: 1 + Math.floor(random() * 4) }, (_, n) => ({
        name: `rail${n}`,
        pf: { names: [`ens${i}${n}`] },
        vfs: 8,
        subnet: `10.${i}.${n}.0/24`,
        ...(random() < 0.3 && { resource: `example.com/${name[0]}.${n}` }),
      })),
      ...(random() < 0.5 && { sets: 4 }),
      pods: {
        interface: pick(random, ["rail{n}", "r{n}x"]),
        allow: some(random, ["ips", "mac"]),
        namespaces: pick(random, [
          { matchLabels: { team: name } },
          { matchExpressions: [{ key: "team", operator: "In", values: [name, "both"] }] },
          { matchExpressions: [{ key: "team", operator: "Exists" }, { key: "team", operator: "NotIn", values: ["none", i === 0 ? "teshio.b" : "ishikari"] }] },
        ]), // biome-ignore format: rows
      },
    },
  }));
}

export const TEAMS = ["ishikari", "ishikari", "ishikari", "teshio.b", "teshio.b", "both", "none", undefined] as const;

/** A pod with the label, as users and controllers write them. */
export function somePod(random: Random, networks: readonly Json[]): Json {
  const resources = ["railnet.io/rails", "railnet.io/rail0", "railnet.io/rail1", "cpu"];
  const container = (name: string, more: Json = {}) => ({
    name,
    image: "none",
    ...(random() < 0.4 && { resources: { limits: Object.fromEntries(some(random, resources).map((one) => [one, "1"])) } }),
    ...(random() < 0.3 && { securityContext: pick(random, [{}, { runAsUser: 7 }, { capabilities: {} }, { capabilities: { drop: ["ALL"] } }, { capabilities: { add: ["SYS_NICE"] } }, { capabilities: { add: ["IPC_LOCK", "SYS_NICE"] } }]) }),
    ...more,
  }); // biome-ignore format: rows
  const containers = ["main", "second", "third"].slice(0, 1 + Math.floor(random() * 3)).map((name) => container(name));
  const initContainers = some(random, [container("init"), container("sidecar", { restartPolicy: "Always" })]);
  const annotation = somewhere(random, networks);
  const made = random() < 0.4 ? pick(random, OPERATORS) : (pod: Json) => pod;
  return made({
    apiVersion: "v1",
    kind: "Pod",
    metadata: {
      name: "x",
      labels: {
        ...(random() < 0.9 && { [RAILS]: pick(random, ["all", "all", "rail0", "rail1.rail0", "rail0.rail7", "", "rail0..rail1"]) }),
        ...(random() < 0.3 && { [NETWORK]: pick(random, ["ishikari", "teshio.b", "nobody"]) }),
        ...(random() < 0.4 && { [IPC_LOCK]: pick(random, ["true", "true", "false", "yes"]) }),
      },
      annotations: {
        ...(annotation !== undefined && { [NETWORKS]: annotation }),
        ...(random() < 0.3 && { "kubectl.kubernetes.io/default-container": pick(random, ["second", "main", "gone"]) }),
        ...(random() < 0.3 && { other: "kept" }),
      },
    },
    spec: { containers, ...(initContainers.length > 0 && { initContainers }), ...(random() < 0.05 && { hostNetwork: true }) },
  });
} // biome-ignore format: rows

function somewhere(random: Random, networks: readonly Json[]): string | undefined {
  const own = networks.flatMap(({ metadata, spec }) => [metadata.name, ...spec.rails.map(({ name }: Json) => `${metadata.name}-${name}`)]); // biome-ignore format: one row
  const names = some(random, ["storage", "other", pick(random, own), pick(random, own)]);
  const elements = names.map((name) => ({
    name,
    ...(random() < 0.4 && { interface: `i${Math.floor(random() * 9)}` }),
    ...(random() < 0.2 && { namespace: "elsewhere" }),
    ...(random() < 0.2 && { ips: ["10.0.0.9/24"] }),
    ...(random() < 0.1 && { "cni-args": { mtu: { of: 9000 } } }),
  }));
  return pick(random, [
    undefined,
    "",
    ` ${JSON.stringify(elements, null, random() < 0.5 ? 1 : 0)} `,
    elements.map(({ name, interface: link, namespace }) => `${namespace ? `${namespace}/` : ""}${name}${link ? `@${link}` : ""}`).join(pick(random, [",", " , "])),
    "[ ]",
    random() < 0.1 ? '{"name": "storage"}' : undefined,
  ]); // biome-ignore format: rows
}

interface Selected {
  readonly name: string;
  readonly interface?: string;
  readonly [key: string]: unknown;
}

/** As Multus reads it. */
export function selection(given = ""): Selected[] | undefined {
  if (given.trim() === "") return [];
  if (/[[{"]/.test(given)) {
    const list = JSON.parse(given);
    return Array.isArray(list) ? list : undefined;
  }
  return given.split(",").map((one) => {
    const [, namespace, name, link] = /^\s*(?:([^/@\s]+)\/)?([^/@\s]+?)(?:@(\S+))?\s*$/.exec(one)!;
    return { name: name!, ...(namespace && { namespace }), ...(link && { interface: link }) };
  });
}

/** What becomes of it: why it is refused, one of these being told, or the pod's networks, and each container's resources and capabilities. */
export interface Fate {
  readonly refused?: readonly string[];
  readonly networks?: readonly Selected[] | undefined;
  readonly limits?: Readonly<Record<string, Json>>;
  readonly ipcLock?: readonly string[];
}

const OF_PODS = ["does not allow", "may not have rails", "too few VFs", "names no network for that many"];

export function fateOf(pod: Json, all: readonly Json[], team: string | undefined): Fate {
  const { labels, annotations } = pod.metadata;
  const given = selection(annotations[NETWORKS]);
  const selecting = all.filter(({ metadata, spec }) => mayUse(spec.pods.namespaces, team, metadata.name));
  const added: { networks: Selected[]; limits: string[]; ipcLock: boolean } = { networks: [], limits: [], ipcLock: false };
  let of: Json;
  const why: string[] = [];
  if (RAILS in labels) {
    const asked = selecting.filter(({ metadata }) => (labels[NETWORK] ?? metadata.name) === metadata.name);
    if (labels[IPC_LOCK] === "yes") why.push("railnet.io/ipc-lock");
    if (pod.spec.hostNetwork) why.push("hostNetwork");
    if (!given) why.push("neither a list of names nor a JSON list");
    if (asked.length === 0) why.push("have rails of no RailNetwork");
    if (asked.length > 1) return { refused: [...why, "several RailNetworks", ...OF_PODS] };
    of = asked[0];
    const known = of?.spec.rails.map(({ name }: Json) => name) ?? [];
    const wanted = labels[RAILS] === "all" ? known : labels[RAILS].split(".");
    const isKnown = wanted.every((name: string) => known.includes(name));
    if (of && !isKnown) why.push("has no rail");
    if (of && isKnown) {
      const isSet = labels[RAILS] === "all" && of.spec.sets > 0;
      const offers = offersOf(of).filter(({ rail }) => (isSet ? rail === "" : rail !== "" && wanted.includes(rail)));
      added.networks = offers.filter(({ name }) => !given?.some((one) => one.name === name)).map(({ name, link }) => ({ name, interface: link })); // biome-ignore format: one row
      added.limits = offers.map(({ resource }) => resource);
      added.ipcLock = labels[IPC_LOCK] === "true";
    }
  }
  const running = [...pod.spec.containers, ...(pod.spec.initContainers ?? []).filter((one: Json) => one.restartPolicy === "Always")];
  const lacking = added.limits.filter((one) => !running.some(({ resources }) => resources?.limits?.[one]));
  const main = pod.spec.containers.find(({ name }: Json) => name === annotations["kubectl.kubernetes.io/default-container"]) ?? pod.spec.containers[0];
  const limits = Object.fromEntries(running.map(({ name, resources }: Json) => [name, { ...resources?.limits, ...(name === main.name && Object.fromEntries(lacking.map((one) => [one, "1"]))) }]));
  const networks = given && [...given, ...added.networks];
  const counted = networks ?? [{ name: "storage" }];
  for (const network of all) {
    const offers = offersOf(network);
    const isNamed = offers.some(({ name }) => counted.some((one) => one.name === name));
    const isOthers = !isNamed && (of?.metadata.name ?? labels[NETWORK] ?? network.metadata.name) !== network.metadata.name;
    const strangers = counted.filter(({ name }) => !offers.some((one) => one.name === name)).length;
    const allowed = ["name", "namespace", "interface", ...network.spec.pods.allow];
    if (/[[{"]/.test(annotations[NETWORKS] ?? "") && counted.some((one) => offers.some(({ name }) => name === one.name) && Object.keys(one).some((key) => !allowed.includes(key)))) why.push("does not allow");
    for (const { name, resource } of offers) {
      const times = counted.filter((one) => one.name === name).length;
      const vfs = Object.values(limits).filter((one: Json) => one[resource] !== undefined).length;
      if (vfs > times + strangers) why.push("names no network for that many");
      if (isOthers || (times === 0 && vfs === 0)) continue;
      if (!selecting.includes(network)) why.push("may not have rails");
      if (times > vfs) why.push("too few VFs");
    }
  }
  if (why.length > 0) return { refused: why };
  const locked = pod.spec.containers.filter(({ name, securityContext }: Json) => securityContext?.capabilities?.add?.includes("IPC_LOCK") || (added.ipcLock && added.limits.some((one) => limits[name][one])));
  return { networks, limits, ipcLock: locked.map(({ name }: Json) => name) };
} // biome-ignore format: rows

/** All that a RailNetwork gives to pods; the set's rail is "". */
function offersOf({ metadata, spec }: Json): { rail: string; name: string; link: string; resource: string }[] {
  const link = (n: number) => spec.pods.interface.replace("{n}", `${n}`);
  const set = { rail: "", name: metadata.name, link: link(0), resource: "railnet.io/rails" };
  const rails = spec.rails.map(({ name, resource }: Json, n: number) => ({ rail: name, name: `${metadata.name}-${name}`, link: link(n), resource: resource ?? `railnet.io/${name}` })); // biome-ignore format: one row
  return [...(spec.sets > 0 ? [set] : []), ...rails];
}

function mayUse({ matchExpressions }: Json, team: string | undefined, name: string): boolean {
  if (!matchExpressions) return team === name;
  if (matchExpressions.length === 1) return team === name || team === "both";
  return team === name || team === "both";
}
