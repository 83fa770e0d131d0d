import { writeFileSync } from "node:fs";
import { type ApiServer, kubernetes } from "../cluster/api-server.ts";
import { Daemon } from "../cluster/daemon.ts";
import { kubeconfigFor } from "./kubeconfig.ts";

/** What runs a DaemonSet, a Deployment, a Job, service accounts in pods, and nodes that come and go. */
const CONTROLLERS = [
  ...["daemonset-controller", "deployment-controller", "replicaset-controller", "garbage-collector-controller"],
  ...["serviceaccount-controller", "root-ca-certificate-publisher-controller", "namespace-controller"],
  ...["node-lifecycle-controller", "taint-eviction-controller", "pod-garbage-collector-controller"],
  ...["job-controller", "ttl-after-finished-controller"],
];

/** A program that ends more often than this does not work. */
const ENDS = 5;

/**
 * The controller manager and the scheduler beside an API server. They are restarted when they end, like static pods: the
 * scheduler gives up when it has missed what happened to its pods.
 */
export class ControlPlane {
  readonly #api: ApiServer;
  readonly #daemons = new Map<string, Daemon>();
  readonly #timer: NodeJS.Timeout;
  #ends = 0;

  constructor(api: ApiServer) {
    this.#api = api;
    this.#look();
    this.#timer = setInterval(() => this.#look(), 500).unref();
  }

  /** The last output of one that keeps ending. */
  get broken(): string | undefined {
    const daemon = [...this.#daemons.values()].find(({ ended }) => ended);
    return this.#ends >= ENDS && daemon ? `${daemon.name} ended: ${daemon.tail()}` : undefined;
  }

  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all([...this.#daemons.values()].map((daemon) => daemon.stop("SIGKILL")));
  }

  #look(): void {
    for (const name of ["kube-controller-manager", "kube-scheduler"]) {
      const daemon = this.#daemons.get(name);
      if (daemon?.ended) this.#ends++;
      if (!daemon || (daemon.ended && this.#ends < ENDS)) this.#daemons.set(name, this.#start(name));
    }
  }

  #start(name: string): Daemon {
    const { folder, pki, url } = this.#api;
    const kubeconfig = `${folder}/${name}.kubeconfig`;
    writeFileSync(kubeconfig, kubeconfigFor(this.#api, { user: `system:${name}`, group: "controllers" }, url));
    const command = [kubernetes(name), `--kubeconfig=${kubeconfig}`, "--leader-elect=false", "--secure-port=0"];
    const more = [
      `--controllers=${CONTROLLERS.join(",")}`,
      "--use-service-account-credentials=true",
      `--service-account-private-key-file=${pki.path("tokens.key")}`,
      `--root-ca-file=${pki.path("ca.crt")}`,
    ];
    const isScheduler = name === "kube-scheduler";
    return Daemon.start(isScheduler ? command : [...command, ...more], `${folder}/${name}.log`);
  }
}
