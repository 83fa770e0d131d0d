import assert from "node:assert/strict";
import t from "tap";
import type { RailPeer, RailPeerRail } from "../../../daemonset/routes/object.ts";
import type { OwnNode } from "../../../daemonset/routes/own-node.ts";
import { choosePeers, type PeerChoice } from "../../../daemonset/routes/peers.ts";
import * as fc from "../../../lab/properties.ts";

const rail = (k: number, n: number, more: Partial<RailPeerRail> = {}): RailPeerRail => ({
  name: `rail${k}`,
  address: `10.${k}.0.${n}/16`,
  mac: `02:00:00:00:0${k}:${n.toString(16).padStart(2, "0")}`,
  mtu: 9000,
  speed: 200_000,
  ...more,
});
const peer = (n: number, rails: readonly unknown[] = [rail(1, n), rail(2, n)], more: object = {}) =>
  ({ metadata: { name: `node-${n}` }, spec: { primary: `10.99.0.${n}`, rails, ...more } }) as unknown as RailPeer;
const own: OwnNode = {
  node: "node-1",
  identity: { primary: "10.99.0.1", rails: [rail(1, 1), rail(2, 1)] },
  reserved: ["10.99.0.1", "10.1.0.1", "10.2.0.1", "10.99.0.254"],
};
const choice: PeerChoice = { exclude: [], weights: "speed" };

t.test("choosePeers() gives each peer's rails, without this node's own RailPeer", async (t) => {
  const { peers, refused } = choosePeers(own, [peer(3), peer(1), peer(2)], choice);
  t.same(refused, []);
  t.same(
    peers.map(({ node }) => node),
    ["node-2", "node-3"],
  );
  t.same(peers[0], {
    node: "node-2",
    primary: "10.99.0.2",
    hops: [
      { rail: "rail1", ip: "10.1.0.2", mac: "02:00:00:00:01:02", weight: 1 },
      { rail: "rail2", ip: "10.2.0.2", mac: "02:00:00:00:02:02", weight: 1 },
    ],
  });
});

for (const { when, bad, why, left = 0 } of [
  { when: "this node's own primary address", bad: peer(2, undefined, { primary: "10.99.0.1" }), why: /this node's own/ },
  { when: "this node's gateway as primary address", bad: peer(2, undefined, { primary: "10.99.0.254" }), why: /gateway/ },
  { when: "a primary address on a rail", bad: peer(2, undefined, { primary: "10.1.7.7" }), why: /network of rail1/ },
  { when: "no primary address", bad: peer(2, undefined, { primary: undefined }), why: /want an IPv4 address/ },
  { when: "a primary address of no host", bad: peer(2, undefined, { primary: "224.0.0.5" }), why: /no host's/ },
  { when: "a default route as primary address", bad: peer(2, undefined, { primary: "0.0.0.0" }), why: /no host's/ },
  { when: "an excluded primary address", bad: peer(77), why: /excluded by 10\.99\.0\.64\/26/ },
  { when: "no rail of this node", bad: peer(2, [rail(7, 2)]), why: /no rail in common/ },
  { when: "no list of rails", bad: peer(2, {} as never), why: /no rail in common/ },
  { when: "a rail address in another network", bad: peer(2, [rail(1, 2, { address: "10.5.0.2/16" })]), why: /not in the network/ },
  { when: "this node's own rail address", bad: peer(2, [rail(1, 2, { address: "10.1.0.1/16" })]), why: /this node's own/ },
  { when: "a multicast MAC", bad: peer(2, [rail(1, 2, { mac: "01:00:5e:00:00:01" })]), why: /want one of a host's link/ },
  { when: "this node's own MAC", bad: peer(2, [rail(1, 2, { mac: "02:00:00:00:01:01" })]), why: /this node's own/ },
  { when: "a MAC that is none", bad: peer(2, [rail(1, 2, { mac: "$(reboot)" })]), why: /want one of a host's link/ },
  { when: "a smaller MTU on one rail", bad: peer(2, [rail(1, 2, { mtu: 1500 }), rail(2, 2)]), why: /mtu 1500: this node's is 9000/, left: 1 },
]) // biome-ignore format: rows
  t.test(`choosePeers() refuses a peer with ${when}, and takes the others`, async (t) => {
    const { peers, refused } = choosePeers(own, [bad, peer(4)], { ...choice, exclude: ["10.99.0.64/26"] });
    t.ok(refused.some((one) => why.test(one.why)), JSON.stringify(refused)); // biome-ignore format: one row
    t.ok(peers.some(({ node }) => node === "node-4"));
    t.equal(peers.find(({ node }) => node === bad.metadata.name)?.hops.length ?? 0, left);
  });

t.test("choosePeers() gives an address that two claim to neither", async (t) => {
  const thief = peer(3, [rail(1, 3), rail(2, 2)]);
  const { peers } = choosePeers(own, [peer(2), thief], choice);
  t.same(peers.map(({ node, hops }) => [node, hops.map((hop) => hop.rail)]), [["node-2", ["rail1"]], ["node-3", ["rail1"]]]); // biome-ignore format: one row
  t.same(choosePeers(own, [peer(2), peer(3, undefined, { primary: "10.99.0.2" })], choice).peers, []);
});

t.test("choosePeers() weighs rails by the slower end, where they differ, and not at all if so asked", async (t) => {
  const mixed = peer(2, [rail(1, 2, { speed: 50_000 }), rail(2, 2, { speed: 400_000 })]);
  const weights = (choice: PeerChoice) => choosePeers(own, [mixed], choice).peers[0]?.hops.map(({ weight }) => weight);
  t.same(weights(choice), [4, 16]);
  t.same(weights({ ...choice, weights: "equal" }), [1, 1]);
});

t.test("choosePeers() takes whatever comes, and no hop off this node's networks", async () => {
  const part = fc.oneof(fc.constantFrom(undefined, null, "", "10.1.0.1/16", "10.1.0.9/16", "10.99.0.5", "rail1", "rail2", 9000, {}, [], "02:00:00:00:01:09"), fc.string()); // biome-ignore format: one row
  const anyRail = fc.oneof(fc.record({ name: part, address: part, mac: part, mtu: part, speed: part }), part);
  const spec = fc.oneof(fc.record({ primary: part, rails: fc.oneof(fc.array(anyRail, { maxLength: 4 }), part) }), part);
  const object = fc.tuple(fc.nat({ max: 9 }), spec).map(([n, spec]) => ({ metadata: { name: `node-${n}` }, spec }));
  fc.assert(
    fc.property(fc.array(object as fc.Arbitrary<RailPeer>, { maxLength: 6 }), (objects) => {
      for (const { primary, hops } of choosePeers(own, objects, choice).peers) {
        assert.match(primary, /^10\.99\.0\.5$/);
        for (const { ip, mac } of hops) {
          assert.match(ip, /^10\.[12]\.0\.9$/);
          assert.match(mac, /^0[02468ace]:/);
        }
      }
    }),
    { numRuns: 2000 },
  );
});
