import { writeFileSync } from "node:fs";
import { type ApiServer, peer } from "../../support/api-server.ts";
import { Daemon } from "../../support/daemon.ts";
import { kubeconfigFor } from "./kubeconfig.ts";

/** What runs a DaemonSet, a Deployment, service accounts in pods, and nodes that come and go. */
const CONTROLLERS = [
  ...["daemonset-controller", "deployment-controller", "replicaset-controller", "garbage-collector-controller"],
  ...["serviceaccount-controller", "root-ca-certificate-publisher-controller", "namespace-controller"],
  ...["node-lifecycle-controller", "taint-eviction-controller", "pod-garbage-collector-controller"],
];

/** The controller manager and the scheduler beside an API server. They work while they run, and end with the test. */
export class ControlPlane {
  readonly #daemons: readonly Daemon[];

  constructor(api: ApiServer) {
    const start = (name: string, ...args: string[]) => {
      const kubeconfig = `${api.folder}/${name}.kubeconfig`;
      writeFileSync(kubeconfig, kubeconfigFor(api, { user: `system:${name}`, group: "controllers" }, api.url));
      const common = [`--kubeconfig=${kubeconfig}`, "--leader-elect=false", "--secure-port=0"];
      return Daemon.start([peer(name), ...common, ...args], `${api.folder}/${name}.log`);
    };
    this.#daemons = [
      start(
        "kube-controller-manager",
        `--controllers=${CONTROLLERS.join(",")}`,
        "--use-service-account-credentials=true",
        `--service-account-private-key-file=${api.pki.path("tokens.key")}`,
        `--root-ca-file=${api.pki.path("ca.crt")}`,
      ),
      start("kube-scheduler"),
    ];
  }

  /** What it said last, when one of them has ended. */
  get ended(): string | undefined {
    const daemon = this.#daemons.find(({ ended }) => ended);
    return daemon && `${daemon.name} ended: ${daemon.tail()}`;
  }

  async stop(): Promise<void> {
    await Promise.all(this.#daemons.map((daemon) => daemon.stop("SIGKILL")));
  }
}
