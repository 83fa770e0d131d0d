import { join } from "node:path";
import { until } from "../../../netns/support/run.ts";
import { installAgent, installCrds } from "../../support/install.ts";
import type { Cluster } from "./cluster.ts";
import { kubeconfigFor } from "./kubeconfig.ts";
import type { NodeProcess } from "./node.ts";

const DIST = join(import.meta.dirname, "../../../../dist");

/** Railnet on a cluster's node as README installs it by hand: executables, node.json, the agent as a process. */
export class Railnet {
  readonly #cluster: Cluster;
  #agent: NodeProcess | undefined;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
  }

  /** Installs everything, and starts the agent. */
  static async install(cluster: Cluster): Promise<Railnet> {
    const { api, node } = cluster;
    await installCrds(api.raw);
    const token = await installAgent(api);
    await api.raw.apply({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "railnet-config" }, data: { whereabouts: "absent" } }); // biome-ignore format: one line
    node.write("/etc/railnet/kubeconfig", kubeconfigFor(api, { token }), 0o600);
    node.write("/etc/railnet/node.json", JSON.stringify({ node: node.name, kubeconfig: "/etc/railnet/kubeconfig" }));
    await node.exec(["install", "-D", join(DIST, "railnet"), "/opt/railnet/bin/railnet"]);
    for (const name of ["railnet-sriov", "railnet-ipam"])
      await node.exec(["install", join(DIST, "railnet-shim"), `/opt/cni/bin/${name}`]);
    const railnet = new Railnet(cluster);
    await railnet.startAgent();
    return railnet;
  }

  /** Starts an agent, and waits until it serves. */
  async startAgent(): Promise<void> {
    const agent = await this.#cluster.node.spawn("railnet", ["/opt/railnet/bin/railnet", "agent"]);
    this.#agent = agent;
    const times = (text: string) => text.split('"msg":"agent ready"').length;
    const before = times(agent.log());
    await until("the agent is ready", () => {
      if (agent.ended) throw new Error(`the agent ended: ${agent.log().slice(-2000)}`);
      return times(agent.log()) > before;
    }, 30_000); // biome-ignore format: one condition
  }

  async stopAgent(signal?: NodeJS.Signals): Promise<void> {
    await this.#agent?.stop(signal);
  }
}
