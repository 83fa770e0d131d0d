import { join } from "node:path";
import { buildImage } from "../../scripts/image/build.ts";
import { kubernetes, peer } from "../cluster/api-server.ts";
import type { Json } from "../cluster/raw.ts";
import { must } from "../netns/run.ts";
import { until } from "../until.ts";
import type { Cluster } from "./cluster.ts";
import { Containerd } from "./containerd.ts";

const PROJECT = join(import.meta.dirname, "../..");
const PODS = "/api/v1/namespaces/kube-system/pods?labelSelector=app.kubernetes.io%2Fname%3Drailnet";
const MANIFEST = join(PROJECT, "manifests/railnet.yaml");

/** Railnet as docs/operate.md installs it in a cluster: the image, `kubectl apply`, and the DaemonSet does the rest. */
export class RailnetDaemonSet {
  readonly #cluster: Cluster;
  readonly #kubeconfig: string;

  private constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#kubeconfig = cluster.api.kubeconfig();
  }

  /** Brings the image onto the node, and applies the manifest. */
  static async install(cluster: Cluster): Promise<RailnetDaemonSet> {
    const railnet = new RailnetDaemonSet(cluster);
    const image = join(cluster.node.folder, "railnet-image.tar");
    await buildImage(join(PROJECT, "dist"), image, [process.arch === "arm64" ? "arm64" : "amd64"]);
    await cluster.containerd.load(image);
    await railnet.apply();
    return railnet;
  }

  /** `kubectl apply`. Returns once its pod is ready. */
  async apply(): Promise<void> {
    await this.kubectl("apply", "-f", MANIFEST);
    await this.rolledOut();
  }

  /** `kubectl delete` of the DaemonSet alone. Returns once its pod is gone. */
  async delete(): Promise<void> {
    await this.kubectl("delete", "-n=kube-system", "daemonset/railnet", "--cascade=foreground");
  }

  /** @returns what it prints. @throws {Error} with what it prints on standard error. */
  kubectl(...args: string[]): Promise<string> {
    const { folder } = this.#cluster.api;
    const flags = [`--kubeconfig=${this.#kubeconfig}`, `--cache-dir=${folder}/kubectl`];
    return must(kubernetes("kubectl"), [...flags, ...args]);
  }

  /** Writes the list of rails into the cluster's settings, which the agent follows. */
  async setRails(rails: Json): Promise<void> {
    const metadata = { name: "railnet-config", namespace: "kube-system" };
    await this.#cluster.api.raw.apply({
      apiVersion: "v1",
      kind: "ConfigMap",
      metadata,
      data: { rails: JSON.stringify(rails) },
    });
  }

  /** Waits until the pod of the newest version is ready and older ones are gone. */
  async rolledOut(): Promise<void> {
    await this.kubectl("rollout", "status", "-n=kube-system", "daemonset/railnet", "--timeout=120s");
    await until("older pods are gone", async () => (await this.pods()).length === 1, {
      limitMs: 150_000,
      everyMs: 200,
    });
  }

  async pods(): Promise<Json[]> {
    return this.#cluster.api.raw.list(PODS);
  }

  /** Replaces the running pod by a new one, as an upgrade does. */
  async restart(): Promise<void> {
    await this.kubectl("rollout", "restart", "-n=kube-system", "daemonset/railnet");
  }

  /** Waits for a pod that is not one of these. */
  async newPod(old: readonly Json[]): Promise<Json> {
    const isNew = ({ metadata }: Json) => !old.some((pod) => pod.metadata.name === metadata.name);
    await until("a new pod is there", async () => (await this.pods()).some(isNew), { everyMs: 100 });
    return (await this.pods()).find(isNew);
  }

  /** The log of one of its pods. */
  log(pod: string): Promise<string> {
    return this.#cluster.node.exec(["sh", "-c", `cat /var/log/pods/kube-system_${pod}_*/agent/*.log`]);
  }

  /** Runs the command line in its pod, as `kubectl exec` does. */
  async railnet(...args: string[]): Promise<string> {
    const { containerd, node } = this.#cluster;
    const { containers } = await containerd.crictl("ps", "--name", "^agent$");
    const exec = [peer("crictl"), "-r", Containerd.socket, "exec", containers[0].id];
    return node.exec([...exec, "/usr/bin/railnet", ...args]);
  }

  /** Kills the agent like a crash; the kubelet restarts it. */
  async killAgent(): Promise<void> {
    const { containerd, node } = this.#cluster;
    const { containers } = await containerd.crictl("ps", "--name", "^agent$");
    const { info } = await containerd.crictl("inspect", containers[0].id);
    await node.exec(["kill", "-KILL", `${info.pid}`]);
  }
}
