import { existsSync, readFileSync } from "node:fs";
import { ApiServer, kubernetes, peer } from "../../lab/cluster/api-server.ts";
import { installAgent, installCrds } from "../../lab/cluster/install.ts";
import { makeNode, makePod } from "../../lab/cluster/objects.ts";
import { Machine, type MachineOptions } from "../../lab/vm/machine.ts";
import { DemoNode, type Pod } from "./node.ts";

/** Two nodes, and the one place where their pods' addresses are kept. */
export interface Place extends AsyncDisposable {
  readonly about: string;
  readonly nodes: readonly [DemoNode, DemoNode];
  /** Pods as the cluster knows them; without a cluster there is nothing to tell. */
  announce(pods: readonly Pod[]): Promise<void>;
  /** `192.168.0.10 default/trainer-0`, as the place itself has it, read without Railnet. */
  addresses(): Promise<string[]>;
}

const MACHINE = { vfs: 4, memoryMiB: 1536, cpus: 1 } as const;
const NAMES = ["node-a", "node-b"] as const;

/** Whether the API server is there that `npm test` builds: minutes, which a demo does not ask for. */
export const hasApiServer = (): boolean => {
  try {
    return existsSync(kubernetes("kube-apiserver")) && existsSync(peer("etcd"));
  } catch {
    return false;
  }
};

/**
 * One machine that plays both nodes, over one directory: its locks are the kernel's, which hold between processes of one
 * machine only, so two machines cannot share it.
 */
export async function directoryPlace(): Promise<Place> {
  const directory = "/run/demo/addresses";
  const machine = await boot({ name: "demo", ...MACHINE });
  const start = (node: string) => DemoNode.start(node, machine, { policy: { node, directory } }, false);
  return {
    about: `one machine that plays both nodes: an agent, a journal and pods each, and one directory, ${directory}`,
    nodes: [await start(NAMES[0]), await start(NAMES[1])],
    announce: async () => {},
    async addresses() {
      const text = await machine.ask(
        `find ${directory} -name '*.json' -printf '{"ip":"%f","holds":' -exec cat {} \\; -printf '}\\n'`,
      );
      const lines = text.split("\n").filter(Boolean);
      return lines
        .map((line) => JSON.parse(line))
        .map(({ ip, holds }) => `${ip.replace(".json", "")} ${holds[0].owner.podref}`);
    },
    [Symbol.asyncDispose]: () => machine.stop(),
  };
}

/** Two machines, joined rail by rail, and a real API server on this host. */
export async function clusterPlace(): Promise<Place> {
  await using stack = new AsyncDisposableStack();
  const api = stack.use(await ApiServer.start());
  const kubeconfig = await prepareCluster(api);
  const options = { ...MACHINE, link: "stream", cable: "demo", hostPorts: true } as const;
  const machines = await Promise.all(NAMES.map((name, index) => boot({ ...options, name: `demo-${name}`, index })));
  for (const machine of machines) stack.use(machine);
  const settings = (node: string) => ({ policy: { node, kubeconfig: "/etc/railnet/kubeconfig" }, kubeconfig });
  const nodes = await Promise.all(NAMES.map((name, i) => DemoNode.start(name, machines[i]!, settings(name), true)));
  const running = stack.move();
  return {
    about: "two machines, joined rail by rail, and a real API server with Whereabouts' resources",
    nodes: [nodes[0]!, nodes[1]!],
    async announce(pods) {
      for (const { name, node } of pods) await makePod(api.raw, name, { node: node.name });
    },
    async addresses() {
      const { body } = await api.raw.request("GET", RESERVATIONS);
      return body.items.map(({ metadata, spec }: Reservation) => `${metadata.name} ${spec.podref}`);
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** igb gives a VF its MAC when it is first up: a VF that was never used would not look the same afterwards. */
async function boot(options: MachineOptions): Promise<Machine> {
  const machine = await Machine.start(options);
  await machine.ask(`
    for v in /sys/class/net/rail?v?; do ip link set \${v##*/} up; done; sleep 0.5
    for v in /sys/class/net/rail?v?; do ip link set \${v##*/} down; done`);
  return machine;
}

const RESERVATIONS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";

interface Reservation {
  readonly metadata: { readonly name: string };
  readonly spec: { readonly podref: string };
}

/** Resources, rights, the nodes, and the mode. @returns what a machine's kubeconfig says. */
async function prepareCluster(api: ApiServer): Promise<string> {
  await installCrds(api.raw);
  const token = await installAgent(api);
  const settings = { metadata: { name: "railnet-config", namespace: "kube-system" }, data: { whereabouts: "absent" } };
  await api.raw.apply({ apiVersion: "v1", kind: "ConfigMap", ...settings });
  for (const name of NAMES) await makeNode(api.raw, name);
  const cluster = {
    server: api.url.replace("127.0.0.1", "10.0.2.2"),
    "tls-server-name": "localhost",
    "certificate-authority-data": readFileSync(api.pki.path("ca.crt")).toString("base64"),
  };
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "demo", cluster }],
    users: [{ name: "railnet", user: { token } }],
    contexts: [{ name: "demo", context: { cluster: "demo", user: "railnet", namespace: "kube-system" } }],
    "current-context": "demo",
  });
}
