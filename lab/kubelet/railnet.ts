import { join } from "node:path";
import { installAgent, installCrds } from "../cluster/install.ts";
import { until } from "../until.ts";
import type { Place, Program } from "./computer.ts";
import { kubeconfigFor } from "./kubeconfig.ts";

const HEALTH = "http://127.0.0.1:9808/readyz";
const DIST = join(import.meta.dirname, "../../dist");

/** Railnet on a cluster's node, installed by hand: executables, node.json, the agent as a process. */
export class Railnet {
  readonly #cluster: Place;
  #agent: Program | undefined;

  private constructor(cluster: Place) {
    this.#cluster = cluster;
  }

  /**
   * Installs everything, and starts the agent.
   *
   * @param rails key `rails` of the ConfigMap, which the agent looks for on its node.
   */
  static async install(cluster: Place, rails = "[]"): Promise<Railnet> {
    const { api, node } = cluster;
    await installCrds(api.raw);
    const token = await installAgent(api);
    await api.raw.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "railnet-config" },
      data: { whereabouts: "absent", rails },
    });
    await node.write("/etc/railnet/kubeconfig", kubeconfigFor(api, { token }, node.apiServer), 0o600);
    await node.write("/etc/railnet/config/rails", rails);
    await node.write(
      "/etc/railnet/node.json",
      JSON.stringify({ node: node.name, kubeconfig: "/etc/railnet/kubeconfig" }),
    );
    await node.exec(["install", "-D", join(DIST, "railnet"), "/opt/railnet/bin/railnet"]);
    for (const name of ["railnet-sriov", "railnet-ipam"])
      await node.exec(["install", join(DIST, "railnet-shim"), `/opt/cni/bin/${name}`]);
    const railnet = new Railnet(cluster);
    await railnet.startAgent();
    return railnet;
  }

  /** Starts an agent, and waits until it serves. */
  async startAgent(): Promise<void> {
    const agent = await this.#cluster.node.spawn("railnet", [
      "/opt/railnet/bin/railnet",
      "agent",
      "--health",
      new URL(HEALTH).host,
      "--metrics",
      "",
    ]);
    this.#agent = agent;
    await until(
      "the agent is ready",
      async () => {
        if (agent.ended) throw new Error(`the agent ended: ${agent.log().slice(-2000)}`);
        return (await this.#cluster.node.run(["curl", "-sf", HEALTH])).exit === 0;
      },
      { limitMs: 600_000, everyMs: 500 },
    );
  }

  async stopAgent(signal?: NodeJS.Signals): Promise<void> {
    await this.#agent?.stop(signal);
  }
}
