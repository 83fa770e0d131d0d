import { until } from "../until.ts";
import type { Netns } from "./netns.ts";

type Json = Record<string, unknown>;

/** Of the cluster's network, as most have it; the routes stand where those of rails are, too. */
const GATEWAY = { v4: "10.244.0.1", v6: "fd00:244::1" };
const ROUTES = [
  ...["default", "10.96.0.0/12", "10.21.0.0/16", "10.0.0.0/8"].map((dst) => `${dst} via ${GATEWAY.v4}`),
  ...["default", "fd00:96::/112", "fd00:21::/48"].map((dst) => `${dst} via ${GATEWAY.v6}`),
];

/**
 * Gives a pod what every pod gets from its cluster's network before a rail comes: `eth0`, up, with addresses of both families,
 * default routes and a few others. Returns when the kernel has made its own routes to its addresses, the IPv6 one of which
 * comes from a queue of work once the link has carrier.
 *
 * @param cluster where the other ends are.
 */
export async function addEth0(pod: Netns, cluster: Netns, number: number): Promise<void> {
  const v6 = `fd00:244::${number.toString(16)}`;
  await pod.batch([
    "link set lo up",
    `link add eth0 type veth peer name p${number} netns ${cluster.path}`,
    `addr add 10.244.0.${number}/16 dev eth0`,
    `addr add ${v6}/64 dev eth0 nodad`,
    "link set eth0 up",
    ...ROUTES.map((route) => `route add ${route} dev eth0`),
  ]);
  await cluster.ip("link", "set", `p${number}`, "up");
  const local = () => pod.show("-6 route show table local", v6);
  await until(`the pod's own route to ${v6}`, local, (routes) => routes.length > 0);
}

/** Everything of a pod's own network that a rail must leave alone: link, addresses, routes and rules of every table. */
export async function eth0Of(pod: Netns): Promise<Json> {
  const [links = [], v4 = [], v6 = [], rules4 = [], rules6 = []] = await pod.showAll(
    "addr show dev eth0",
    "-4 route show table all",
    "-6 route show table all",
    "-4 rule",
    "-6 rule",
  );
  const { flags: _, operstate: __, addr_info, ...link } = links[0] ?? {};
  const addresses = ((addr_info as Json[]) ?? []).filter(({ scope }) => scope !== "link"); // the kernel's own come late
  const routes = [...v4, ...v6].filter((route) => JSON.stringify(route).includes('"eth0"') && !isLate(route));
  return { link, addresses, routes: routes.map(({ flags: _, ...route }) => route), rules: [...rules4, ...rules6] };
}

const isLate = ({ dst, type }: Json): boolean => /^(fe80|ff00):/.test(String(dst)) || type === "multicast";
