import { execFile, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { promisify } from "node:util";
import type { Place, ShellLimits, ShellReply, Side } from "../../cli/bench/rdma/place.ts";
import { UNTIL_INPUT_ENDS } from "../../cli/bench/rdma/until-input-ends.ts";

/** `namespace/name`; without a namespace it is `default`. */
export interface PodName {
  readonly namespace: string;
  readonly name: string;
}

export function parsePods(value: string): [PodName, PodName] {
  const pods = value.split(",").map((pod): PodName => {
    const [, namespace = "default", name] = /^(?:([^/,]+)\/)?([^/,]+)$/.exec(pod.trim()) ?? [];
    if (!name)
      throw new Error(`cannot use "${value}": two pods as NAMESPACE/NAME,NAMESPACE/NAME are expected (EINVAL)`);
    return { namespace, name };
  });
  if (pods.length !== 2) throw new Error(`cannot use "${value}": ${pods.length} pods, two are expected (EINVAL)`);
  return pods as [PodName, PodName];
}

/** Two pods with rails; a rail is a network of their annotation `network-status`, whatever its link is called. */
export async function podSide(pods: readonly [PodName, PodName]): Promise<Side> {
  const links = await Promise.all(pods.map(railsOf));
  const rails = new Set(links.flatMap((one) => [...one.keys()]));
  if (rails.size === 0)
    throw new Error(`cannot measure ${nameOf(pods[0])}: Multus gave it no network (network-status)`);
  return {
    kind: "pod",
    places: pods.map(placeIn) as [Place, Place],
    rails: new Map([...rails].sort().map((rail) => [rail, [links[0]!.get(rail), links[1]!.get(rail)]])),
  };
}

/** Two pods in their hosts' network. @param rails `rail0=ens1f0np0,rail1=…`, alike on both nodes. */
export function hostSide(pods: readonly [PodName, PodName], rails: string): Side {
  const pairs = rails.split(",").map((pair): [string, [string, string]] => {
    const [, rail, link] = /^([^=]+)=([^=]+)$/.exec(pair.trim()) ?? [];
    if (!rail || !link) throw new Error(`cannot use "${rails}": RAIL=LINK,RAIL=LINK is expected (EINVAL)`);
    return [rail, [link, link]];
  });
  return { kind: "host", places: pods.map(placeIn) as [Place, Place], rails: new Map(pairs) };
}

const nameOf = ({ namespace, name }: PodName) => `pod ${namespace}/${name}`;

async function railsOf(pod: PodName): Promise<Map<string, string>> {
  const args = ["get", "pod", pod.name, "-n", pod.namespace, "-o", "json"];
  const { stdout } = await promisify(execFile)("kubectl", args, { timeout: GET_LIMIT_MS, maxBuffer: 1 << 24 });
  return railsIn(JSON.parse(stdout) as PodObject, nameOf(pod));
}

const GET_LIMIT_MS = 60_000;

export interface PodObject {
  readonly metadata: { readonly annotations?: Readonly<Record<string, string>> };
}

/** Links by rail, out of what Multus wrote: `[{"name": "default/rail0", "interface": "net1", "default"?: true}, …]`. */
export function railsIn({ metadata }: PodObject, what: string): Map<string, string> {
  const status = JSON.parse(metadata.annotations?.["k8s.v1.cni.cncf.io/network-status"] ?? "[]") as {
    readonly name: string;
    readonly interface?: string;
    readonly default?: boolean;
  }[];
  const rails = new Map<string, string>();
  for (const network of status) {
    if (network.default || !network.interface) continue;
    const rail = network.name.slice(network.name.indexOf("/") + 1);
    if (rails.has(rail)) throw new Error(`cannot tell the rails of ${what} apart: two links on network ${rail}`);
    rails.set(rail, network.interface);
  }
  return rails;
}

const placeIn = (pod: PodName): Place => ({
  name: nameOf(pod),
  sh: (script, limits) => execIn(pod, script, limits),
});

async function execIn(
  { namespace, name }: PodName,
  script: string,
  { signal, limitMs }: ShellLimits,
): Promise<ShellReply> {
  signal.throwIfAborted();
  const args = ["exec", "-i", name, "-n", namespace, "--", "sh", "-c", UNTIL_INPUT_ENDS, "sh", script];
  const kubectl = spawn("kubectl", args, { detached: true }); // the terminal's Ctrl-C is not for it
  const closed = new Promise<number>((resolve, reject) => {
    kubectl.once("error", reject);
    kubectl.once("close", (code, killedBy) =>
      code === null ? reject(new Error(`kubectl ended by ${killedBy}`)) : resolve(code),
    );
  });
  kubectl.stdin.on("error", () => {}); // it may have ended
  let stoppedBy: unknown;
  let killer: NodeJS.Timeout | undefined;
  const stop = (why: unknown) => {
    stoppedBy = why;
    kubectl.stdin.end();
    killer = setTimeout(() => kubectl.kill("SIGKILL"), KILL_GRACE_MS);
  };
  const onAbort = () => stop(signal.reason);
  signal.addEventListener("abort", onAbort);
  const late = new Error(`cannot run a command in pod ${namespace}/${name}: no end within ${limitMs} ms (ETIMEDOUT)`);
  const limit = setTimeout(() => stop(late), limitMs);
  try {
    const [exit, stdout, stderr] = await Promise.all([closed, text(kubectl.stdout), text(kubectl.stderr)]);
    if (stoppedBy) throw stoppedBy;
    return { exit, stdout, stderr: stderr.replace(/^command terminated with exit code \d+\n/m, "") };
  } catch (error) {
    throw stoppedBy ?? error;
  } finally {
    clearTimeout(limit);
    clearTimeout(killer);
    signal.removeEventListener("abort", onAbort);
  }
}

const KILL_GRACE_MS = 5000;
