import { peer } from "../cluster/api-server.ts";
import type { Computer } from "./computer.ts";

const PODS = "10.244.0.0/24";

/**
 * The pods' ordinary network of a node: a bridge, with addresses of host-local. A single plugin, because the daemon of
 * Multus 4.3.0 forgets the fields of a list before DEL and leaks its address.
 */
export const CLUSTER_NETWORK = {
  cniVersion: "1.0.0",
  name: "cluster",
  type: "bridge",
  bridge: "cni0",
  isGateway: true,
  ipam: { type: "host-local", ranges: [[{ subnet: PODS }]], routes: [{ dst: "0.0.0.0/0" }] },
};

/** Where the configuration is. */
export const CLUSTER_CONF = "/etc/cni/net.d/10-cluster.conf";

/** Gives a node of namespaces its address, and a way out. */
export async function addNodeAddress(node: Computer): Promise<void> {
  const links = [
    "link add node0 type bridge",
    `addr add ${node.ip}/24 dev node0`,
    "link set node0 up",
    "route add default dev node0",
  ];
  await node.run(["ip", "-batch", "-"], { stdin: links.join("\n") });
}

/** The plugins, as files: Multus in a pod looks them up in its own root, where a symbolic link may lead nowhere. */
export async function setUpClusterNetwork(node: Computer): Promise<void> {
  const plugins = ["bridge", "loopback", "host-local"].map(peer);
  await node.exec(["install", "-D", "-t", "/opt/cni/bin", ...plugins]);
  await node.write(CLUSTER_CONF, JSON.stringify(CLUSTER_NETWORK));
}
