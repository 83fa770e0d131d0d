import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { ApiServer } from "../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../lab/cluster/cluster-node.ts";
import { settingsOfEngine } from "../../lab/cluster/engine.ts";
import { installAgent, installCrds } from "../../lab/cluster/install.ts";
import { Whereabouts } from "../../lab/cluster/whereabouts.ts";

const OBJECTS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system";
const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";

/** The server has served the agents' first lists and watches by then, and forgotten what was wiped. */
const SETTLE_MS = 5_000;

/** Where it is measured: a real API server and etcd that waits for its disk, agents of simulated nodes, the real Whereabouts. */
export class Place implements AsyncDisposable {
  readonly api: ApiServer;
  readonly whereabouts: Whereabouts;
  readonly nodes: readonly ClusterNode[];
  readonly #runFolder: string;
  #wipes = 0;

  private constructor(api: ApiServer, whereabouts: Whereabouts, nodes: readonly ClusterNode[], runFolder: string) {
    this.api = api;
    this.whereabouts = whereabouts;
    this.nodes = nodes;
    this.#runFolder = runFolder;
  }

  static async prepare(nodes: number, dist: string): Promise<Place> {
    const api = await ApiServer.start({ fsync: true, small: false });
    await installCrds(api.raw);
    const kubeconfig = api.kubeconfig({ token: await installAgent(api) });
    const whereabouts = await Whereabouts.install(api);
    await api.raw.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata: { name: "railnet-config", namespace: "kube-system" },
      data: { whereabouts: "absent" },
    });
    mkdirSync(`${api.folder}/nodes`);
    const names = Array.from({ length: nodes }, (_, i) => `node-${i}`);
    const folder = `${api.folder}/nodes`;
    const runFolder = mkdtempSync("/dev/shm/railnet-bench-");
    const env = settingsOfEngine();
    const all = names.map((name) => new ClusterNode(name, { folder, runFolder, kubeconfig, env, dist }));
    return new Place(api, whereabouts, all, runFolder);
  }

  /** Also their first requests are over when it returns: they are not what an ADD costs. */
  async startAgents(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.start()));
    await sleep(SETTLE_MS);
  }

  async stopAgents(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.stop("SIGKILL")));
  }

  /** As if another leader were there: nobody writes the pools' view. */
  async withoutLeader(): Promise<void> {
    await this.api.raw.delete(`${LEASES}/railnet-leader`);
    await this.api.raw.apply({
      apiVersion: "coordination.k8s.io/v1",
      kind: "Lease",
      metadata: { name: "railnet-leader", namespace: "kube-system" },
      spec: {
        holderIdentity: "bench",
        leaseDurationSeconds: 100_000,
        renewTime: new Date().toISOString().replace("Z", "000Z"),
      },
    });
  }

  async withLeader(): Promise<void> {
    await this.api.raw.delete(`${LEASES}/railnet-leader`);
  }

  /**
   * Empties the cluster of addresses, and waits until it is. Agents with a memory would put them back: they start anew,
   * without their records. Those are set aside, since ext4 looks at each inode that was removed in the last minutes before
   * it makes a file (recently_deleted() in fs/ext4/ialloc.c): a fifth of the agents' time in the next storm.
   */
  async wipe(): Promise<void> {
    await this.stopAgents();
    for (const { folder } of this.nodes)
      if (existsSync(`${folder}/state`)) renameSync(`${folder}/state`, `${folder}/state-${++this.#wipes}`);
    for (const plural of ["overlappingrangeipreservations", "ippools"]) {
      await this.api.raw.request("DELETE", `${OBJECTS}/${plural}`);
      while ((await this.api.raw.get(`${OBJECTS}/${plural}?limit=1`)).items.length > 0) await sleep(100);
    }
  }

  async pools(): Promise<{ metadata: { name: string }; spec: { allocations: Record<string, unknown> } }[]> {
    return await this.api.raw.list(`${OBJECTS}/ippools`);
  }

  async reservations(): Promise<number> {
    return (await this.api.raw.list(`${OBJECTS}/overlappingrangeipreservations`)).length;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stopAgents();
    await this.api.stop();
    rmSync(this.#runFolder, { recursive: true, force: true });
  }
}
