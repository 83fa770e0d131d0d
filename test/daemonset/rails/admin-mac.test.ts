// Which VFs the keeper gives a MAC and binds anew, and which it leaves alone.
import t, { type Test } from "tap";
import { A, RailsNode } from "./support/rails-node.ts";

t.test("look() gives new VFs of mlx5 their MAC and binds them anew, each when nobody has it", async (t) => {
  const node = new RailsNode(t).configure("[{name: rail0, vfs: 0, pf: {names: [ens1]}}]");
  node.tree.bind(A, "mlx5_core");
  node.tree.writeNumVfs(A, 3);
  const [fresh, used, managed] = node.tree.vfs(A) as [string, string, string];
  for (const vf of [fresh, used]) node.tree.file(vf, "infiniband/mlx5_2/node_guid", "0000:0000:0000:0000\n");
  node.macs.set(managed, "02:ad:00:00:00:01");
  node.users.set(used, `VF ${used} is in use by pod default/a`);
  t.same(await node.look(), [
    "info rail is on this node",
    "info a new VF has its MAC and node GUID",
    `warn VFs wait for an administrator's MAC: VF ${used} is in use by pod default/a`,
  ]);
  t.same(node.rebound, [fresh], "one that has a MAC is left alone");
  t.equal(node.macs.get(used), undefined);
  node.users.clear();
  node.nowMs = 60_000;
  t.same(await node.look(), ["info a new VF has its MAC and node GUID"]);
  t.same(node.rebound, [fresh, used]);
  t.same(await node.look(), []);
  t.equal(node.rebound.length, 2);
});

/** An mlx5 PF whose VFs are as wanted. */
function mlx5(t: Test, vfs: number, text = "[{name: rail0, vfs: 0, pf: {names: [ens1]}}]"): RailsNode {
  const node = new RailsNode(t).configure(text);
  node.tree.bind(A, "mlx5_core");
  node.tree.writeNumVfs(A, vfs);
  return node;
}
const GOOD = "0200:00ff:fe00:0001\n";
const asked = (node: RailsNode) => node.orders.splice(0).map((order) => order.do);

for (const guid of ["0000:0000:0000:0000", "0000:00ff:fe00:0000"])
  t.test(`look() binds a VF anew that has a MAC and the node GUID ${guid}, and leaves the MAC`, async (t) => {
    const node = mlx5(t, 1);
    const [vf] = node.tree.vfs(A) as [string];
    node.macs.set(vf, "02:ad:00:00:00:01");
    node.tree.file(vf, "infiniband/mlx5_2/node_guid", `${guid}\n`);
    await node.look();
    t.same([node.rebound, node.macs.get(vf)], [[vf], "02:ad:00:00:00:01"]);
  });

t.test(
  "look() asks a PF for the MACs of its VFs once, and again only for one that has lost its node GUID",
  async (t) => {
    const node = mlx5(t, 2);
    const [first, second] = node.tree.vfs(A) as [string, string];
    for (const vf of [first, second]) node.macs.set(vf, "02:ad:00:00:00:01");
    await node.look();
    t.same(asked(node), ["list-admin-macs"]);
    node.nowMs = 120_000;
    await node.look();
    t.same(asked(node), []);
    node.macs.delete(second); // somebody has set it to none, and bound the VF anew
    node.tree.file(second, "infiniband/mlx5_2/node_guid", "0000:00ff:fe00:0000\n");
    await node.look();
    t.same(asked(node), ["list-admin-macs", "give-own-mac"]);
    t.same(node.rebound, [second]);
    node.nowMs = 240_000;
    await node.look();
    t.same(asked(node), [], "what was given needs no look");
  },
);

t.test("look() asks once a minute while somebody has a VF without MAC", async (t) => {
  const node = mlx5(t, 1);
  const [vf] = node.tree.vfs(A) as [string];
  node.users.set(vf, `VF ${vf} is in use by pod default/a`);
  for (let look = 0; look < 3; look++) await node.look();
  t.same(asked(node), ["list-admin-macs"]);
  node.nowMs = 60_000;
  await node.look();
  t.same(asked(node), ["list-admin-macs"]);
});

t.test(
  "look() gives VFs that are made anew their MACs at once, though others of their addresses had them or waited",
  async (t) => {
    const node = mlx5(t, 0, "[{name: rail0, vfs: 1, pf: {names: [ens1]}}]");
    await node.look();
    const [vf] = node.tree.vfs(A) as [string];
    t.same(node.rebound, [vf]);
    const anew = async () => {
      node.rebound.length = 0;
      node.tree.writeNumVfs(A, 0);
      node.macs.clear();
      await node.look();
    };
    await anew();
    t.same(node.rebound, [vf], "the one before had its MAC");
    node.users.set(vf, `VF ${vf} is in use by pod default/a`);
    await anew();
    t.same(node.rebound, []);
    node.users.clear();
    await anew();
    t.same(node.rebound, [vf], "the one before waited");
  },
);

t.test("look() leaves VFs alone that the PF hides, that userspace drives, or that no driver has", async (t) => {
  const node = mlx5(t, 3);
  const [hidden, userspace, bare] = node.tree.vfs(A) as [string, string, string];
  node.tree.file(hidden, "infiniband/mlx5_2/node_guid", GOOD);
  node.hidden.add(hidden);
  node.tree.bind(userspace, "vfio-pci");
  node.tree.unbind(bare);
  await node.look();
  t.same([node.rebound, asked(node)], [[], ["list-admin-macs"]]);
});

t.test("look() gives none to VFs of drivers that show the VF's own", async (t) => {
  const node = new RailsNode(t).configure("[{name: rail0, pf: {names: [ens3]}}]");
  node.tree.addPf({ pci: "0000:c0:00.0", netdev: "ens3", driver: "ice" });
  node.tree.writeNumVfs("0000:c0:00.0", 2);
  await node.look();
  t.same(node.rebound, []);
});
