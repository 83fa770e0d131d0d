import type { Network as Edge } from "../../../ipam/connect.ts";
import type { Link } from "../network/link.ts";
import type { Network } from "../network/network.ts";
import { NAMESPACE } from "./kinds.ts";

export const PATHS = {
  hostRoot: "/",
  sysfs: "/sys",
  stateDir: "/var/lib/railnet",
  runDir: "/run/railnet",
  cniCacheDir: "/var/lib/cni",
  netnsDir: "/run/netns",
  deviceInfoDir: "/run/devinfo",
  nodeConfig: "/etc/railnet/node.json",
};

export const policyOf = (node: string) => ({ node, kubeconfig: "/etc/kubeconfig" });

/** What the product's client of the API server has below it. */
export const accessTo = (network: Network, link: Link): Edge => ({
  accessBy: () => async () => ({
    server: "https://simulated",
    namespace: NAMESPACE,
    tls: { rejectUnauthorized: true },
    headers: {},
  }),
  openTransport: async () => network.transport(link),
});
