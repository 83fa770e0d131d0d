import t from "tap";
import { NLM_F_CREATE, NLM_F_EXCL } from "../../kernel/netlink/message.ts";
import { addRoute, deleteRoute, listRoutes, parseRoute, type RouteSpec } from "../../kernel/route.ts";
import { hex, sent } from "./support/captures.ts";
import { bodiesOf, type IpRoute, indexOf, replies } from "./support/replies.ts";

/** The captured link. */
const index = 3;

for (const { command, route } of [
  { command: "ip route add 10.1.0.0/16 dev rail0", route: { dst: "10.1.0.0/16", index } },
  {
    command: "ip route add 10.2.0.0/16 via 10.0.0.1 dev rail0",
    route: { dst: "10.2.0.0/16", index, gateway: "10.0.0.1" },
  },
  { command: "ip route add 10.3.0.0/16 via 10.0.0.1", route: { dst: "10.3.0.0/16", gateway: "10.0.0.1" } },
  {
    command: "ip route add default via 10.0.0.1 dev rail0",
    route: { dst: "0.0.0.0/0", index, gateway: "10.0.0.1" },
  },
  { command: "ip route add 10.4.0.0/16 dev rail0 table 100", route: { dst: "10.4.0.0/16", index, table: 100 } },
  { command: "ip route add 10.5.0.0/16 dev rail0 table 1000", route: { dst: "10.5.0.0/16", index, table: 1000 } },
  { command: "ip route add 10.6.0.0/16 dev rail0 metric 50", route: { dst: "10.6.0.0/16", index, priority: 50 } },
  { command: "ip route add 10.7.0.0/16 dev rail0 mtu 1400", route: { dst: "10.7.0.0/16", index, mtu: 1400 } },
  {
    command: "ip route add 10.8.0.0/16 dev rail0 mtu 1400 advmss 1360",
    route: { dst: "10.8.0.0/16", index, mtu: 1400, advmss: 1360 },
  },
  {
    command: "ip route add 10.9.0.0/16 dev rail0 src 10.0.0.5",
    route: { dst: "10.9.0.0/16", index, src: "10.0.0.5" },
  },
  {
    command:
      "ip route add 10.10.0.0/16 nexthop via 10.0.0.1 dev rail0 weight 1 nexthop via 10.0.0.2 dev rail0 weight 3",
    route: {
      dst: "10.10.0.0/16",
      hops: [
        { index, gateway: "10.0.0.1" },
        { index, gateway: "10.0.0.2", weight: 3 },
      ],
    },
  },
  { command: "ip route add 10.11.0.0/16 dev rail0 scope host", route: { dst: "10.11.0.0/16", index, scope: 254 } },
  { command: "ip -6 route add fd01::/64 dev rail0", route: { dst: "fd01::/64", index } },
  {
    command: "ip -6 route add fd02::/64 via fd00::1 dev rail0",
    route: { dst: "fd02::/64", index, gateway: "fd00::1" },
  },
  {
    command: "ip -6 route add ::/0 via fd00::1 dev rail0",
    route: { dst: "::/0", index, gateway: "fd00::1" },
  },
  {
    command: "ip -6 route add fd03::/64 nexthop via fd00::1 dev rail0 nexthop via fd00::2 dev rail0",
    route: {
      dst: "fd03::/64",
      hops: [
        { index, gateway: "fd00::1" },
        { index, gateway: "fd00::2" },
      ],
    },
  },
] as { command: string; route: RouteSpec }[])
  t.test(`addRoute() sends what \`${command}\` sends`, async (t) => {
    const want = sent(command);
    const message = addRoute(route);
    t.equal(hex(message.body), want.body);
    t.equal(message.type, want.type);
    t.equal(message.flags, NLM_F_CREATE | NLM_F_EXCL);
    t.equal(message.what, `add route ${route.dst}${route.gateway ? ` via ${route.gateway}` : ""}`);
  });

t.test("deleteRoute() names the route as ip(8) does, whatever protocol and scope it was made with", async (t) => {
  const want = sent("ip route del 10.10.0.0/16");
  const message = deleteRoute({ dst: "10.10.0.0/16" });
  t.equal(hex(message.body), want.body);
  t.equal(message.type, want.type);
  t.equal(message.flags ?? 0, 0);
});

t.test("listRoutes() asks for every family and table", async (t) => {
  t.equal(hex(listRoutes().body), "000000000000000000000000");
});

/** ip(8)'s JSON in our words; it leaves out the length of a host's route, and says `default` for both families. */
function fromIp({ dst, table, scope, dev, gateway, metric, prefsrc, metrics, nexthops }: IpRoute, isV6: boolean) {
  const bits = isV6 ? 128 : 32;
  return {
    dst: dst === "default" ? (isV6 ? "::/0" : "0.0.0.0/0") : dst.includes("/") ? dst : `${dst}/${bits}`,
    table: Number(table),
    scope: Number(scope),
    ...(dev && { index: indexOf(dev) }),
    ...(gateway && { gateway }),
    ...(metric !== undefined && { priority: metric }),
    ...(prefsrc && { src: prefsrc }),
    ...metrics?.[0],
    ...(nexthops && { hops: nexthops.map((hop) => ({ ...hop, dev: undefined, index: indexOf(hop.dev) })) }),
  };
}

t.test("parseRoute() reads of a dump what ip(8) reads", async (t) => {
  const got = bodiesOf(replies.routes).map(parseRoute);
  const isV6 = (i: number) => replies.routes.bodies[i]!.startsWith("0a");
  for (const [i, route] of replies.routes.ip.entries()) {
    const { hops, ...want } = fromIp(route, isV6(i));
    t.match(got[i], want, `${want.dst} in table ${want.table}`);
    t.same(
      got[i]!.hops,
      hops?.map(({ gateway, index, weight }) => ({ gateway, index, weight })),
    );
  }
  t.equal(got.length, replies.routes.ip.length);
  t.equal(got.filter((r) => r.hops).length, 2, "the capture has multipath routes of both families");
  t.equal(got.filter((r) => r.mtu && r.advmss && r.src).length, 1, "and one with metrics and source");
});

t.test("parseRoute() refuses a next hop that is longer than its list", async (t) => {
  const body = replies.routes.bodies.find((b) => b.includes("10000002"))!;
  t.throws(() => parseRoute(Buffer.from(body.replace("10000002", "20000003"), "hex")), /its length is wrong/);
});
