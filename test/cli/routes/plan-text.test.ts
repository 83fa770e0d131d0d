import t from "tap";
import { planLines } from "../../../cli/routes/plan-text.ts";
import type { OwnLook } from "../../../daemonset/routes/own.ts";

const look = {
  rails: [{ name: "rail1", netdev: "ens1", index: 3 }],
  unusable: [{ rail: "rail2", why: "there is no link ens2" }],
} as unknown as OwnLook;
const route = (n: number) => ({
  dst: `10.99.0.${n}/32`,
  src: "10.99.0.1",
  hops: [{ index: 3, gateway: `10.1.0.${n}` }],
});

t.test("planLines() says what is set, written, deleted and left alone, in that order", async (t) => {
  const foreign = [{ dst: "10.99.0.4/32", protocol: 4 }] as never;
  const changes = [{ do: "replace", route: route(2) }, { do: "delete", route: route(3) }] as const; // biome-ignore format: one row
  const due = [{ key: "net.ipv4.conf.IFNAME.rp_filter", ifname: "ens1", value: "2", now: "1" }];
  t.same(planLines(look, { peers: [], refused: [{ peer: "node-9", rail: "rail1", why: "mtu 1500" }] }, { changes, foreign }, due), [
    "set    net.ipv4.conf.ens1.rp_filter: 1 -> 2",
    "route  10.99.0.2/32 src 10.99.0.1 via 10.1.0.2 dev ens1",
    "delete 10.99.0.3/32",
    "leave  10.99.0.4/32: another route is there (ip route show proto 4)",
    "leave  rail2 of this node: there is no link ens2",
    "leave  node-9 by rail1: mtu 1500",
  ]);
}); // biome-ignore format: rows

t.test("planLines() says so when nothing would change", async (t) =>
  t.match(planLines({ ...look, unusable: [] }, { peers: [], refused: [] }, { changes: [], foreign: [] }, []), [/^nothing/]),
); // biome-ignore format: one row
