import type { Json } from "../cluster/raw.ts";
import { until } from "../until.ts";
import type { Computer, Place } from "./computer.ts";

const ANSWER_MS = 60_000;

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

type Answer = Awaited<ReturnType<Computer["run"]>>;

/**
 * Asks an address from a pod, by one of its interfaces, until it answers. A VF of igb carries nothing before its driver has
 * seen the PF's link (`igbvf_watchdog_task`, every two seconds), which ADD does not wait for; and of a machine without KVM
 * seconds are long.
 *
 * @returns the last try.
 */
export async function ping(node: Computer, netns: string, ifname: string, address: string): Promise<Answer> {
  let last: Answer | undefined;
  const ask = async () => {
    last = await node.run(["nsenter", `--net=${netns}`, "ping", "-c1", "-W5", "-I", ifname, address]);
    return last.exit === 0;
  };
  await until(`${address} answers`, ask, { limitMs: ANSWER_MS, everyMs: 1000 }).catch(() => {}); // the caller says more
  return last!;
}
