import assert from "node:assert/strict";
import t from "tap";
import type { RailPeer } from "../../../daemonset/routes/object.ts";
import type { OwnNode } from "../../../daemonset/routes/own-node.ts";
import { choosePodNetworks } from "../../../daemonset/routes/pod-networks.ts";
import * as fc from "../../../lab/properties.ts";

const own: OwnNode = {
  node: "node-1",
  identity: {
    primary: "10.99.0.1",
    rails: [{ name: "rail1", address: "10.1.0.1/16", mac: "02:00:00:00:01:01", mtu: 9000 }],
    podCIDRs: ["10.244.1.0/24"],
  },
  reserved: ["10.99.0.1", "10.1.0.1", "10.99.0.254"],
};
const peer = (n: number, podCIDRs: unknown) =>
  ({ metadata: { name: `node-${n}` }, spec: { primary: `10.99.0.${n}`, rails: [], podCIDRs } }) as unknown as RailPeer;

t.test("choosePodNetworks() gives two halves of each, which win against the route to the whole", async (t) => {
  const { byPeer, refused } = choosePodNetworks(own, [peer(2, ["10.244.2.0/24", "10.245.0.0/31"]), peer(3, undefined)], []);
  t.same(refused, []);
  t.same([...byPeer], [["node-2", ["10.244.2.0/25", "10.244.2.128/25", "10.245.0.0/32", "10.245.0.1/32"]]]);
}); // biome-ignore format: rows

for (const { when, cidrs, why } of [
  { when: "everything", cidrs: ["0.0.0.0/0"], why: /want the network of one node's pods/ },
  { when: "a half of everything", cidrs: ["128.0.0.0/1"], why: /\/16 to \/31/ },
  { when: "an address alone", cidrs: ["10.244.2.7/32"], why: /\/16 to \/31/ },
  { when: "bits that are the host's", cidrs: ["10.244.2.7/24"], why: /want the network/ },
  { when: "IPv6", cidrs: ["fd00:2::/64"], why: /want the network/ },
  { when: "what is none", cidrs: ["$(reboot)"], why: /want the network/ },
  { when: "no text", cidrs: [7], why: /podCIDR 7: want/ },
  { when: "this node's address", cidrs: ["10.99.0.0/31"], why: /this node's own address/ },
  { when: "the gateway's", cidrs: ["10.99.0.254/31"], why: /gateway/ },
  { when: "a rail's network", cidrs: ["10.1.128.0/17"], why: /rail's network/ },
  { when: "this node's pods", cidrs: ["10.244.1.128/25"], why: /this node's own/ },
  { when: "a peer's primary address", cidrs: ["10.99.0.8/29"], why: /primary address/ },
  { when: "an excluded one", cidrs: ["10.200.7.0/24"], why: /excluded/ },
  { when: "a part of another peer's", cidrs: ["10.244.4.0/22"], why: /another RailPeer/ },
]) // biome-ignore format: rows
  t.test(`choosePodNetworks() refuses ${when}`, async (t) => {
    const { byPeer, refused } = choosePodNetworks(own, [peer(2, cidrs), peer(9, ["10.250.9.0/24"]), peer(4, ["10.244.7.0/24"])], ["10.200.0.0/16"]); // biome-ignore format: one row
    t.notOk(byPeer.has("node-2"));
    t.ok(byPeer.has("node-9"), "others are taken");
    t.match(refused.find(({ peer }) => peer === "node-2"), { why }); // biome-ignore format: one row
  });

t.test("choosePodNetworks() never gives one address to two peers, whatever they claim", async () => {
  const cidr = fc.tuple(fc.integer({ min: 0, max: 1023 }), fc.integer({ min: 16, max: 26 })).map(([n, bits]) => {
    const start = Math.floor((n * 64) / 2 ** (32 - bits)) * 2 ** (32 - bits);
    return `10.244.${start >> 8}.${start & 255}/${bits}`;
  });
  fc.assert(
    fc.property(fc.array(fc.array(cidr, { maxLength: 4 }), { maxLength: 8 }), (claims) => {
      const peers = claims.map((cidrs, i) => peer(i + 2, cidrs));
      const owner = new Map<number, string>();
      for (const [name, networks] of choosePodNetworks(
        { ...own, identity: { ...own.identity, podCIDRs: [] } },
        peers,
        [],
      ).byPeer)
        for (const network of networks) {
          const [ip, bits] = network.split("/") as [string, string];
          const [, , c, d] = ip.split(".").map(Number) as [number, number, number, number];
          for (let at = c * 256 + d, end = at + 2 ** (32 - Number(bits)); at < end; at += 32) {
            assert.ok(!owner.has(at), `${network} of ${name} and ${owner.get(at)}`);
            owner.set(at, name);
          }
        }
    }),
  );
});
