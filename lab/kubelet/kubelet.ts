import { readFileSync } from "node:fs";
import { type ApiServer, kubernetes } from "../cluster/api-server.ts";
import type { Computer, Program } from "./computer.ts";
import { Containerd } from "./containerd.ts";
import { kubeconfigFor } from "./kubeconfig.ts";

/** Whoever has a certificate of it may run commands in pods: the API server. */
const CA = "/etc/kubernetes/ca.crt";

/** A kubelet that accepts the machine as it is: cgroups of version 1, swap, a full disk, no iptables. */
const CONFIG = {
  apiVersion: "kubelet.config.k8s.io/v1beta1",
  kind: "KubeletConfiguration",
  containerRuntimeEndpoint: Containerd.socket,
  authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: CA } },
  authorization: { mode: "Webhook" },
  cgroupDriver: "cgroupfs",
  failCgroupV1: false,
  failSwapOn: false,
  makeIPTablesUtilChains: false,
  enforceNodeAllocatable: [],
  localStorageCapacityIsolation: false,
  evictionHard: Object.fromEntries(
    ["memory.available", "nodefs.available", "nodefs.inodesFree", "imagefs.available", "imagefs.inodesFree"].map(
      (signal) => [signal, "0%"],
    ),
  ),
  imageGCHighThresholdPercent: 100,
  resolvConf: "",
  nodeStatusUpdateFrequency: "2s",
  syncFrequency: "10s",
};

/** The kubelet of a node. */
export class Kubelet {
  readonly #node: Computer;
  readonly #api: ApiServer;
  readonly #config: object;
  #process: Program | undefined;

  /** @param more of its KubeletConfiguration. */
  constructor(node: Computer, api: ApiServer, more: object = {}) {
    this.#node = node;
    this.#api = api;
    this.#config = { ...CONFIG, ...more };
  }

  async start(): Promise<void> {
    const { name, ip, apiServer } = this.#node;
    const identity = { user: `system:node:${name}`, group: "system:nodes" };
    await this.#node.write("/etc/kubernetes/kubelet.conf", kubeconfigFor(this.#api, identity, apiServer), 0o600);
    await this.#node.write(CA, readFileSync(this.#api.pki.path("ca.crt"), "utf8"));
    await this.#node.write("/var/lib/kubelet/config.yaml", JSON.stringify(this.#config));
    const files = ["--config=/var/lib/kubelet/config.yaml", "--kubeconfig=/etc/kubernetes/kubelet.conf"];
    const command = [kubernetes("kubelet"), ...files, `--hostname-override=${name}`, `--node-ip=${ip}`, "--v=2"];
    this.#process = await this.#node.spawn("kubelet", command);
  }

  /** Stops it; pods keep running. */
  async stop(signal?: NodeJS.Signals): Promise<void> {
    await this.#process?.stop(signal);
  }

  /** The end of its log, when it has ended. */
  get ended(): string | undefined {
    return this.#process?.ended ? `the kubelet ended: ${this.#process.log().slice(-2000)}` : undefined;
  }
}
