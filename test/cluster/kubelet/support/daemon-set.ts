import { join } from "node:path";
import { buildImage } from "../../../../daemonset/image/build.ts";
import { must, until } from "../../../netns/support/run.ts";
import { peer } from "../../support/api-server.ts";
import type { Json } from "../../support/raw.ts";
import type { Cluster } from "./cluster.ts";

const PROJECT = join(import.meta.dirname, "../../../..");
const PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=app.kubernetes.io%2Fname%3Drailnet";
export const MANIFEST = join(PROJECT, "manifests/railnet.yaml");
const DAEMON_SET = "daemonset/railnet";

/** Railnet as README installs it in a cluster: the image, `kubectl apply`, and the DaemonSet does the rest. */
export class RailnetDaemonSet {
  readonly #cluster: Cluster;
  readonly #kubeconfig: string;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#kubeconfig = cluster.api.kubeconfig();
  }

  /** Returns once its pod is ready. */
  static async apply(cluster: Cluster): Promise<RailnetDaemonSet> {
    const railnet = new RailnetDaemonSet(cluster);
    const image = join(cluster.node.folder, "railnet-image.tar");
    await buildImage(join(PROJECT, "dist"), image, [process.arch === "arm64" ? "arm64" : "amd64"]);
    await cluster.containerd.load(image);
    await railnet.kubectl("apply", "-f", MANIFEST);
    await railnet.rolledOut();
    return railnet;
  }

  /** @returns what it prints. @throws {Error} with what it prints on standard error. */
  kubectl(...args: string[]): Promise<string> {
    return must(peer("kubectl"), [
      "--kubeconfig",
      this.#kubeconfig,
      `--cache-dir=${this.#cluster.api.folder}/kubectl`,
      "--namespace",
      "kube-system",
      ...args,
    ]);
  }

  /** Waits until the pod of the newest version is ready and older ones are gone. */
  async rolledOut(): Promise<void> {
    await this.kubectl("rollout", "status", DAEMON_SET, "--timeout=120s");
    await until("older pods are gone", async () => (await this.pods()).length === 1, 150_000);
  }

  async pods(): Promise<Json[]> {
    return this.#cluster.api.raw.list(PODS);
  }

  /** The log of its pod. */
  log(): Promise<string> {
    return this.kubectl("logs", DAEMON_SET);
  }
}
