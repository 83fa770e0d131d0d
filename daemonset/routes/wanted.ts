import { isIPv6, splitCidr } from "../../kernel/netlink/ip-bytes.ts";
import type { FollowedNetwork } from "../rail-network/listed.ts";
import type { RailHere } from "../rails/select.ts";
import type { RoutesOrder } from "./order.ts";
import type { PeersSeen } from "./peers-file.ts";

/**
 * What the thread of the routes is to do: as the oldest RailNetwork of this node says that has `nodes.routes`. Undefined where none
 * has, and on a node of the control plane that is not asked to take part. Pure.
 *
 * @throws {Error} naming field, value and fix of what the API server would have refused.
 */
export function wantedRoutes(
  node: string,
  networks: readonly FollowedNetwork[],
  rails: readonly RailHere[],
  { primary, isControlPlane, peers, podCIDRs = [] }: PeersSeen,
): RoutesOrder | undefined {
  const network = networks.find(({ nodes }) => nodes?.routes === true);
  const nodes = network?.nodes;
  if (!network || !nodes || primary === "" || (isControlPlane && nodes.controlPlanes !== true)) return undefined;
  const { exclude = [], weights = "speed" } = nodes;
  const isOfPods = nodes.podCIDRs === true;
  for (const cidr of exclude) refuseNoCidr(network.name, cidr);
  const own = new Set(network.rails.map(({ name }) => name));
  const here = rails.filter(({ rail, pf }) => own.has(rail.name) && pf.name !== undefined);
  return {
    node,
    primary,
    rails: here.map(({ rail, pf }) => ({ name: rail.name, netdev: pf.name! })),
    peers,
    choice: { exclude, weights: weights === "equal" ? "equal" : "speed", ...(isOfPods && { podCIDRs: true }) },
    ...(isOfPods && { podCIDRs: podCIDRs.filter((cidr) => !isIPv6(cidr)) }),
  };
}

function refuseNoCidr(network: string, cidr: string): void {
  try {
    splitCidr(cidr);
  } catch (cause) {
    const fix = "want an address or a CIDR such as 10.99.0.0/24";
    throw new Error(`cannot use RailNetwork ${network}: nodes.exclude ${JSON.stringify(cidr)}: ${fix}`, { cause });
  }
}
