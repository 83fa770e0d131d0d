import { join } from "node:path";
import type { Paths } from "../../cni/host.ts";
import { railFilesIn, readListed, readNetworks } from "../../daemonset/rail-network/file.ts";
import type { FollowedNetwork } from "../../daemonset/rail-network/listed.ts";
import { listPfFacts, selectPfs } from "../../daemonset/rails/select.ts";
import { lookAtOwn, type OwnLook } from "../../daemonset/routes/own.ts";
import { paceOf } from "../../daemonset/routes/pace.ts";
import { choosePeers, type Peers } from "../../daemonset/routes/peers.ts";
import { readPeersSeen } from "../../daemonset/routes/peers-file.ts";
import { planRoutes, type RoutePlan, type WantedRoute } from "../../daemonset/routes/plan.ts";
import { destinationsOf } from "../../daemonset/routes/running.ts";
import { SYSCTLS, type Sysctls, wantedSettings } from "../../daemonset/routes/settings.ts";
import { wantedRoutes } from "../../daemonset/routes/wanted.ts";
import { readNodePolicy } from "../../ipam/node-policy.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { listMainRoutes, parseRoute } from "../../kernel/route.ts";
import { type DueSetting, planLines } from "./plan-text.ts";

/**
 * What routes over rails would change on this node if every rail answered, also where they are not on yet. Reads what the agent
 * keeps on disk and the kernel; changes nothing.
 *
 * @param primary the Node's InternalIP, where no agent has heard of it yet.
 */
export function planText(paths: Paths, configDir: string, primary?: string): string {
  const files = railFilesIn(configDir, paths.stateDir);
  const networks = readNetworks(files.networks);
  const seen = readPeersSeen(join(paths.stateDir, "rail-peers.json"));
  const known = { ...seen, ...(primary !== undefined && { primary }) };
  if (known.primary === "") return "this Node's InternalIP is not known here yet: give it by --primary";
  const { here } = selectPfs(readListed(files).rails, listPfFacts(paths.sysfs));
  const node = readNodePolicy(paths, process.env).node ?? "";
  const order = wantedRoutes(node, asIfOn(networks), here, known);
  if (!order) return "nothing: no RailNetwork of this node has nodes.routes, or it is of the control plane";
  using rtnl = new NetlinkSocket();
  const look = lookAtOwn(order, rtnl, paths.sysfs);
  const chosen = choosePeers(look.own, order.peers, order.choice);
  return planLines(look, chosen, planOf(look, chosen, rtnl), dueSettings(look, chosen)).join("\n");
}

/** The first one, where none has them on. */
const asIfOn = (networks: readonly FollowedNetwork[]): readonly FollowedNetwork[] =>
  networks.some(({ nodes }) => nodes?.routes === true)
    ? networks
    : networks.slice(0, 1).map((network) => ({ ...network, nodes: { ...network.nodes, routes: true } }));

function planOf(look: OwnLook, { peers }: Peers, rtnl: NetlinkConnection): RoutePlan {
  const indexes = new Map(look.rails.map(({ name, index }) => [name, index]));
  const wanted = peers.flatMap((peer): WantedRoute[] => {
    const hops = peer.hops.map(({ rail, ip, weight }) => ({ index: indexes.get(rail)!, gateway: ip, weight }));
    return destinationsOf(peer).map((dst) => ({ dst, src: look.own.identity.primary, hops }));
  });
  return planRoutes(wanted, rtnl.dump(listMainRoutes(4)).map(parseRoute));
}

function dueSettings(
  { primaryLink, rails }: OwnLook,
  { peers }: Peers,
  sysctls: Pick<Sysctls, "read"> = SYSCTLS,
): DueSetting[] {
  const ways = peers.reduce((sum, { hops }) => sum + hops.length, 0);
  const wanted = wantedSettings(primaryLink, rails.map(({ netdev }) => netdev), paceOf(ways).everyMs); // biome-ignore format: one row
  return wanted.flatMap((setting) => {
    const now = sysctls.read(setting);
    return now === undefined || now === setting.value ? [] : { ...setting, now };
  });
}
