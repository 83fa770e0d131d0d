import type { Json } from "../cluster/raw.ts";
import type { Computer, Place } from "./computer.ts";

/** The network namespace of a pod that runs, as the runtime names it. */
export async function netnsOf({ containerd }: Pick<Place, "containerd">, pod: string): Promise<string> {
  const { items } = await containerd.crictl("pods", "--name", `^${pod}$`, "--state", "ready");
  const { info } = await containerd.crictl("inspectp", items[0].id);
  return info.runtimeSpec.linux.namespaces.find(({ type }: Json) => type === "network").path;
}

/** What `ip -j -d addr` shows in a pod, by name. */
export async function linksOf(node: Computer, netns: string): Promise<Json[]> {
  const links: Json[] = JSON.parse(await node.exec(["nsenter", `--net=${netns}`, "ip", "-j", "-d", "addr"]));
  return links.sort((a, b) => (a.ifname < b.ifname ? -1 : 1));
}

/** Asks an address from a pod, by one of its interfaces. */
export function ping(node: Computer, netns: string, ifname: string, address: string): ReturnType<Computer["run"]> {
  return node.run(["nsenter", `--net=${netns}`, "ping", "-c1", "-W5", "-I", ifname, address]);
}
