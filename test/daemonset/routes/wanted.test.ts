import t from "tap";
import type { FollowedNetwork } from "../../../daemonset/rail-network/listed.ts";
import type { RailHere } from "../../../daemonset/rails/select.ts";
import type { PeersSeen } from "../../../daemonset/routes/peers-file.ts";
import { wantedRoutes } from "../../../daemonset/routes/wanted.ts";

const rails = ["rail0", "rail1"].map((name, i) => ({ rail: { name }, pf: { pci: `0000:a${i}:00.0`, name: `ens${i}` } })) as unknown as RailHere[]; // biome-ignore format: one row
const network = (name: string, nodes?: FollowedNetwork["nodes"]): FollowedNetwork => ({
  name,
  rails: rails.map(({ rail: { name } }) => ({ name, pf: {} })),
  ...(nodes && { nodes }),
});
const seen: PeersSeen = { primary: "10.99.0.1", isControlPlane: false, peers: [] };
const wanted = (networks: readonly FollowedNetwork[], more: Partial<typeof seen> = {}) =>
  wantedRoutes("node-a", networks, rails, { ...seen, ...more });

t.test(
  "wantedRoutes() are those of the first RailNetwork that asks for them, over its own rails that are here",
  async (t) => {
    const first = { ...network("a", { routes: true, exclude: ["10.99.0.0/28"] }), rails: [{ name: "rail1", pf: {} }, { name: "gone", pf: {} }] }; // biome-ignore format: one row
    t.same(wanted([network("none"), first, network("b", { routes: true, weights: "equal" })]), {
      node: "node-a",
      primary: "10.99.0.1",
      rails: [{ name: "rail1", netdev: "ens1" }],
      peers: [],
      choice: { exclude: ["10.99.0.0/28"], weights: "speed" },
    });
  },
);

t.test("wantedRoutes() are to pods, too, where they are asked for: of IPv4", async (t) => {
  const podCIDRs = ["10.244.1.0/24", "fd00:1::/64"];
  const order = wanted([network("a", { routes: true, podCIDRs: true })], { podCIDRs });
  t.match(order, { podCIDRs: ["10.244.1.0/24"], choice: { podCIDRs: true } });
  t.notOk("podCIDRs" in wanted([network("a", { routes: true })], { podCIDRs })!, "and otherwise not published");
});

for (const { when, networks, more = {}, is } of [
  { when: "no RailNetwork asks", networks: [network("a")], is: false },
  { when: "they are off", networks: [network("a", { routes: false })], is: false },
  { when: "it is not known who this node is", networks: [network("a", { routes: true })], more: { primary: "" }, is: false },
  { when: "a control plane is not asked", networks: [network("a", { routes: true })], more: { isControlPlane: true }, is: false },
  { when: "a control plane is asked", networks: [network("a", { routes: true, controlPlanes: true })], more: { isControlPlane: true }, is: true },
]) // biome-ignore format: rows
  t.test(`wantedRoutes() where ${when}`, async (t) => t.equal(wanted(networks, more) !== undefined, is));

t.test("wantedRoutes() names what is no address, which an older definition may have let pass", async (t) => {
  const bad = network("a", { routes: true, exclude: ["10.99.0.0/28", "all"] });
  t.throws(() => wanted([bad]), /cannot use RailNetwork a: nodes\.exclude "all": want an address or a CIDR such as/);
});
