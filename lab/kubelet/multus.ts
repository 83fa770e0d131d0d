import { readFileSync } from "node:fs";
import { peer } from "../cluster/api-server.ts";
import { installNads } from "../cluster/install.ts";
import { until } from "../until.ts";
import { CLUSTER_NETWORK } from "./cluster-network.ts";
import type { Place, Program } from "./computer.ts";
import { makeImage } from "./image.ts";
import { kubeconfigFor } from "./kubeconfig.ts";
import { DAEMON_SET, IMAGE, RBAC } from "./multus-objects.ts";

/** An executable that runs with every call; a daemon of the node; a daemon in a pod, as its DaemonSet has it. */
export type MultusForm = "thin" | "process" | "pod";

const CONFS = "/etc/cni/net.d";
const CONF = `${CONFS}/00-multus.conf`;
const ACCOUNT = "/run/secrets/kubernetes.io/serviceaccount";

/** Multus 4.3.0 in front of a cluster's ordinary network. */
export class Multus {
  readonly form: MultusForm;
  readonly #cluster: Place;
  #daemon: Program | undefined;

  private constructor(cluster: Place, form: MultusForm) {
    this.#cluster = cluster;
    this.form = form;
  }

  /** Returns once pods get their networks from it. */
  static async start(cluster: Place, form: MultusForm): Promise<Multus> {
    const multus = new Multus(cluster, form);
    const { api, node } = cluster;
    await installNads(api.raw);
    for (const object of RBAC) await api.raw.apply(object);
    await node.exec(["install", peer(form === "thin" ? "multus" : "multus-shim"), "/opt/cni/bin/"]);
    if (form === "thin") await multus.#startThin();
    else if (form === "process") await multus.startDaemon();
    else await multus.#startPod();
    await until("Multus has put itself before the cluster's network", () => multus.#hasConf(), {
      limitMs: 600_000,
      everyMs: 200,
    });
    return multus;
  }

  /** Ends the daemon that is a process. */
  async stopDaemon(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    await this.#daemon?.stop(signal);
  }

  /** Starts the daemon as a process, which wants to find what a pod would. */
  async startDaemon(): Promise<void> {
    const { api, node } = this.#cluster;
    await node.write(`${ACCOUNT}/token`, await api.token("multus"));
    await node.write(`${ACCOUNT}/ca.crt`, readFileSync(api.pki.path("ca.crt"), "utf8"));
    await node.write("/run/multus.json", daemonConfig("", CONFS, "/run/multus/"));
    const { hostname, port } = new URL(node.apiServer);
    this.#daemon = await node.spawn("multus", [peer("multus-daemon"), "-config", "/run/multus.json"], {
      KUBERNETES_SERVICE_HOST: hostname,
      KUBERNETES_SERVICE_PORT: port || "443",
      MULTUS_NODE_NAME: node.name,
    });
  }

  async #startThin(): Promise<void> {
    const { api, node } = this.#cluster;
    const kubeconfig = `${CONFS}/multus.d/multus.kubeconfig`;
    await node.write(kubeconfig, kubeconfigFor(api, { token: await api.token("multus") }, node.apiServer), 0o600);
    const log = { logLevel: "debug", logFile: "/run/multus.log" };
    const conf = {
      cniVersion: "1.0.0",
      name: "multus",
      type: "multus",
      ...log,
      kubeconfig,
      delegates: [CLUSTER_NETWORK],
    };
    await node.write(CONF, JSON.stringify(conf));
  }

  async #startPod(): Promise<void> {
    const { api, containerd, node } = this.#cluster;
    const files = { "/usr/src/multus-cni/bin/multus-daemon": peer("multus-daemon") };
    await containerd.load(makeImage(node.folder, IMAGE, files));
    await node.write("/run/multus-daemon.json", daemonConfig("/hostroot", `/host${CONFS}`, "/host/run/multus/"));
    await node.exec(["mkdir", "-p", "/run/k8s.cni.cncf.io", "/var/lib/cni/multus", "/etc/cni/multus/net.d"]);
    await api.raw.apply(DAEMON_SET);
  }

  /** Written by the daemon itself; the thin one's is there from the start. */
  async #hasConf(): Promise<boolean> {
    if (this.#daemon?.ended) throw new Error(`multus-daemon ended: ${this.#daemon.log().slice(-2000)}`);
    return (await this.#cluster.node.run(["test", "-s", CONF])).exit === 0;
  }
}

function daemonConfig(chrootDir: string, confs: string, socketDir: string): string {
  return JSON.stringify({
    chrootDir,
    socketDir,
    cniVersion: "1.0.0",
    logLevel: "debug",
    logToStderr: true,
    cniConfigDir: confs,
    multusAutoconfigDir: confs,
    multusConfigFile: "auto",
  });
}
