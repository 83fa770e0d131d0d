import { setTimeout as sleep } from "node:timers/promises";
import type { Machine } from "../../lab/vm/machine.ts";

const START_LIMIT_MS = 300_000;
export const RAILS = [0, 1, 2, 3];

/** Root's own settings of a node, `/etc/railnet/node.json`, and a kubeconfig beside it where there is a cluster. */
export interface NodeSettings {
  readonly policy: object;
  readonly kubeconfig?: string;
}

export interface Pod {
  readonly name: string;
  readonly node: DemoNode;
  /** Which VF of each rail is its. */
  readonly vf: number;
}

/**
 * A node: an agent with its journal, and pods. Two may live on one machine: then each has a mount namespace, where its
 * state, its settings and its pods' namespaces are its own.
 */
export class DemoNode {
  readonly name: string;
  readonly machine: Machine;
  readonly #enter: readonly string[];

  private constructor(name: string, machine: Machine, enter: readonly string[]) {
    this.name = name;
    this.machine = machine;
    this.#enter = enter;
  }

  /** @param isAlone false: another node is on this machine. */
  static async start(name: string, machine: Machine, settings: NodeSettings, isAlone: boolean): Promise<DemoNode> {
    await machine.push("dist/railnet", "/opt/railnet/bin/railnet");
    for (const plugin of ["railnet-sriov", "railnet-ipam"])
      await machine.push("dist/railnet-shim", `/opt/cni/bin/${plugin}`);
    const env = { NAME: name, ALONE: isAlone ? "yes" : "", ...filesOf(settings) };
    const pid = (await machine.ask(START, { env })).trim();
    const node = new DemoNode(name, machine, isAlone ? [] : ["nsenter", "-t", pid, "-m", "-w/", "--"]);
    await node.#untilReady();
    return node;
  }

  /** An emulated processor on a busy host takes its time. */
  async #untilReady(): Promise<void> {
    const limit = Date.now() + START_LIMIT_MS;
    while ((await this.ask("ls /run/railnet/agent.sock 2>/dev/null || true")) === "") {
      if (Date.now() > limit)
        throw new Error(
          `the agent of ${this.name} is not ready: ${await this.machine.ask(`cat /tmp/agent-${this.name}.log`)}`,
        );
      await sleep(500);
    }
  }

  /** What shell text prints on this node. */
  async ask(text: string): Promise<string> {
    const { exit, stdout, stderr } = await this.machine.exec([...this.#enter, "bash", "-c", text]);
    if (exit === 0) return stdout;
    throw new Error(`cannot run "${text}" on ${this.name}: ${stderr.trim() || stdout.trim()} (exit ${exit})`);
  }

  /** One call as Multus makes it: the shim, the variables of CNI, the network configuration. */
  async call(verb: "ADD" | "DEL", pod: Pod, ifname: string, config: object): Promise<string> {
    const env = {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod.name,
      CNI_NETNS: `/run/netns/${pod.name}`,
      CNI_IFNAME: ifname,
      CNI_PATH: "/opt/cni/bin",
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod.name}`,
    };
    const argv = [...this.#enter, "/opt/cni/bin/railnet-sriov"];
    const { exit, stdout, stderr } = await this.machine.exec(argv, { env, stdin: JSON.stringify(config) });
    if (exit !== 0) throw new Error(`${verb} of ${pod.name} (${ifname}) on ${this.name} failed: ${stdout}${stderr}`);
    return stdout;
  }
}

const filesOf = ({ policy, kubeconfig = "" }: NodeSettings) => ({
  POLICY: JSON.stringify(policy),
  KUBECONFIG: kubeconfig,
});

/** Prints the agent's process ID. */
const START = `
  set -e
  mkdir -p /run/railnet /var/lib/railnet /etc/railnet /run/netns
  cd / # a mount namespace is entered at the root
  settings() { printf %s "$POLICY" > /etc/railnet/node.json; [ -z "$KUBECONFIG" ] || printf %s "$KUBECONFIG" > /etc/railnet/kubeconfig; }
  own() {
    for place in /run/railnet /var/lib/railnet /etc/railnet /run/netns; do
      mkdir -p "/run/demo/$NAME$place"; mount --bind "/run/demo/$NAME$place" "$place"
    done
  }
  export -f settings own
  if [ -n "$ALONE" ]; then enter=(bash -c) prepare=settings; else enter=(unshare -m bash -c) prepare='own; settings'; fi
  setsid "\${enter[@]}" "set -e; $prepare; exec /opt/railnet/bin/railnet agent --health '' --metrics '' --reconcile-seconds 3600" \\
    > "/tmp/agent-$NAME.log" 2>&1 < /dev/null &
  echo $!`;
