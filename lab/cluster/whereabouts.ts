import { spawn } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { type ApiServer, peer } from "./api-server.ts";
import { Daemon } from "./daemon.ts";
import { installWhereabouts } from "./install.ts";
import type { Json } from "./raw.ts";

/** One sandbox's interface, as a runtime names it. */
export interface Sandbox {
  readonly id: string;
  /** Of the pod. Default namespace `default`. */
  readonly pod: string;
  readonly namespace?: string;
  readonly ifname?: string;
  /** More pairs of CNI_ARGS, such as `IP=10.0.0.5/24`. */
  readonly args?: readonly string[];
}

export interface Reply {
  readonly exit: number | null;
  /** Result or error of the CNI protocol; undefined if standard output is empty. */
  readonly json: Json | undefined;
  readonly stderr: string;
}

/** The real Whereabouts 0.9.4 against a real API server: its plugin, run as a runtime does, and its controllers. */
export class Whereabouts {
  /** Folder with its kubeconfig and flat file. */
  readonly folder: string;
  readonly #server: string;
  readonly #token: string;
  readonly #ca: string;
  readonly #node: string;

  private constructor(folder: string, server: string, token: string, ca: string, node: string) {
    this.#node = node;
    this.folder = folder;
    this.#server = server;
    this.#token = token;
    this.#ca = ca;
  }

  /**
   * @param server where its requests go; default: the API server itself.
   * @param options.namespace of its objects.
   * @param options.node name of the node that its plugin runs on; default: that of the machine.
   */
  static async install(
    api: ApiServer,
    server = api.url,
    { namespace = "kube-system", node = "" }: { namespace?: string; node?: string } = {},
  ): Promise<Whereabouts> {
    const token = await installWhereabouts(api);
    const kubeconfig = api.kubeconfig({ token, server, namespace });
    const folder = mkdtempSync(`${api.folder}/whereabouts-`);
    const flat = { datastore: "kubernetes", kubernetes: { kubeconfig }, log_level: "error" };
    writeFileSync(`${folder}/whereabouts.conf`, JSON.stringify(flat));
    return new Whereabouts(folder, server, token, readFileSync(api.pki.path("ca.crt"), "utf8"), node);
  }

  /** A configuration with the flat file that says where the API server is; `ipam` adds to it. */
  config(ipam: Json, network: Json = {}): Json {
    const configuration_path = `${this.folder}/whereabouts.conf`;
    return {
      cniVersion: "1.0.0",
      name: "net",
      type: "macvlan",
      ...network,
      ipam: { type: "whereabouts", configuration_path, ...ipam },
    };
  }

  /** @param limitMs kills it after that, as a runtime does. */
  call(verb: "ADD" | "DEL" | "CHECK", config: Json, sandbox: Sandbox, limitMs = 60_000): Promise<Reply> {
    const env = { ...environment(verb, sandbox), ...(this.#node && { NODENAME: this.#node }) };
    const child = spawn(peer("whereabouts"), [], { env, timeout: limitMs, killSignal: "SIGKILL" });
    let stdout = "";
    let stderr = "";
    child.stdout.on("data", (piece) => (stdout += piece));
    child.stderr.on("data", (piece) => (stderr += piece));
    child.stdin.on("error", () => {}); // it may have ended
    child.stdin.end(JSON.stringify(config));
    return new Promise((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (exit) => resolve({ exit, json: stdout ? JSON.parse(stdout) : undefined, stderr }));
    });
  }

  /** Its reconciler: frees records and reservations of pods that it does not find. @param cron such as `@every 2s`. */
  reconciler(cron: string): Daemon {
    return this.#controller("wb-reconciler", { "cron-schedule/config": cron });
  }

  /** Its controller of one node, which frees what pods leave behind. Needs the node's object and the NetworkAttachmentDefinition resource. */
  controlLoop(node: string): Daemon {
    return this.#controller("wb-ip-control-loop", {}, { NODENAME: node });
  }

  /** Cuts ranges into slices, for the NetworkAttachmentDefinitions that say node_slice_size. */
  nodeSliceController(): Daemon {
    return this.#controller("wb-node-slice-controller", {});
  }

  /** They expect their configuration in fixed places, as in a pod: each gets its own root. Needs root. */
  #controller(name: string, files: Record<string, string>, env: Record<string, string> = {}): Daemon {
    const root = mkdtempSync(`${this.folder}/${name}-`);
    const account = "var/run/secrets/kubernetes.io/serviceaccount";
    const all = {
      ...files,
      [`${account}/token`]: this.#token,
      [`${account}/ca.crt`]: this.#ca,
      [`${account}/namespace`]: "kube-system",
    };
    for (const [path, text] of Object.entries(all)) {
      mkdirSync(dirname(`${root}/${path}`), { recursive: true });
      writeFileSync(`${root}/${path}`, text);
    }
    copyFileSync(peer(name), `${root}/${name}`);
    const { hostname, port } = new URL(this.#server);
    return Daemon.start(
      ["chroot", root, `/${name}`, ...(name === "wb-node-slice-controller" ? [] : ["-log-level", "debug"])],
      `${root}.log`,
      {
        WHEREABOUTS_NAMESPACE: "kube-system",
        KUBERNETES_SERVICE_HOST: hostname,
        KUBERNETES_SERVICE_PORT: port,
        ...env,
      },
    );
  }
}

function environment(verb: string, { id, pod, namespace = "default", ifname = "net1", args = [] }: Sandbox) {
  return {
    PATH: "/usr/bin:/bin",
    CNI_COMMAND: verb,
    CNI_CONTAINERID: id,
    CNI_NETNS: "/var/run/netns/none",
    CNI_IFNAME: ifname,
    CNI_PATH: "/opt/cni/bin",
    CNI_ARGS: [
      "IgnoreUnknown=1",
      `K8S_POD_NAMESPACE=${namespace}`,
      `K8S_POD_NAME=${pod}`,
      `K8S_POD_INFRA_CONTAINER_ID=${id}`,
      ...args,
    ].join(";"),
  };
}
