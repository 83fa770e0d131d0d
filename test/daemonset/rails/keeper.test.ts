import t from "tap";
import { until } from "../../../lab/until.ts";
import type { PfTree } from "../support/pf-tree.ts";
import { A, B, RailsNode } from "./support/rails-node.ts";

const rails = (vfs: number, more = "") =>
  `[{name: rail0, vfs: ${vfs}, pf: {names: [ens1]}${more}}, {name: rail1, vfs: 2, pf: {names: [ens2]}}]`;

t.test("look() makes the VFs of every rail, says so once, and is then content", async (t) => {
  const node = new RailsNode(t).configure(rails(4));
  t.same(await node.look(), [
    "info rail is on this node",
    "info rail is on this node",
    "info VFs made",
    "info VFs made",
  ]);
  t.same([...node.written].sort(), [`${A} 4`, `${B} 2`]); // each PF has a thread of its own: in any order
  t.same(node.here(), ["rail0 ens1", "rail1 ens2"]);
  t.same(await node.look(), []);
  t.equal(node.written.length, 2);
});

t.test("look() says which rails a node does not have, and is no error", async (t) => {
  const node = new RailsNode(t).configure("[{name: rail0, pf: {names: [ens1]}}, {name: rail9, pf: {names: [ens9]}}]");
  t.same(await node.look(), [
    "info rail is on this node",
    "info rail is not on this node: no PF of this node matches its selectors",
  ]);
  t.same(node.here(), ["rail0 ens1"]);
  node.tree.addPf({ pci: "0000:c0:00.0", netdev: "ens9" });
  t.same(await node.look(), ["info rail is on this node"], "its driver came later");
  t.same(node.here(), ["rail0 ens1", "rail9 ens9"]);
});

t.test("look() follows a ConfigMap whose links change", async (t) => {
  const node = new RailsNode(t).configure(rails(4));
  await node.look();
  node.configure(rails(8));
  t.same(await node.look(), ["info VFs removed, to create others", "info VFs made"]);
  t.same(node.written.slice(2), [`${A} 0`, `${A} 8`]);
  node.configure("[]");
  t.same(await node.look(), []);
  t.same(node.here(), []);
  t.equal(node.tree.numVfs(A), "8", "what is no rail any more keeps its VFs");
});

t.test("look() keeps the last good list when the new one is none, and says it once", async (t) => {
  const node = new RailsNode(t).configure(rails(4));
  await node.look();
  node.configure("[{name: rail0}]");
  t.match(await node.look(), [
    /^warn the list of rails is invalid: keeping the last good one: cannot use rail "rail0": pf is missing/,
  ]);
  t.same(await node.look(), []);
  t.same(node.here(), ["rail0 ens1", "rail1 ens2"]);
  node.configure(rails(4));
  t.same(await node.look(), []);
  node.configure("[{name: rail0}]");
  t.equal((await node.look()).length, 1, "a second mistake is said again");
});

t.test("look() waits until nobody has a VF of the PF, then makes the others", async (t) => {
  const node = new RailsNode(t).configure(rails(4));
  await node.look();
  const [vf] = node.tree.vfs(A);
  node.users.set(vf!, `VF ${vf} is in use by pod default/a`);
  node.configure(rails(8));
  const why = `it has 4, and the kernel would have to remove all of them: VF ${vf} is in use by pod default/a`;
  t.same(await node.look(), [`warn leaving the VFs of a PF as they are: ${why}`]);
  t.same(await node.look(), []);
  t.equal(node.tree.numVfs(A), "4");
  node.users.clear();
  t.same(await node.look(), ["info VFs removed, to create others", "info VFs made"]);
});

t.test("look() asks again after a minute for what the kernel refused, at once for something else", async (t) => {
  const node = new RailsNode(t).configure(rails(4));
  node.refuse = "ENOMEM";
  t.equal((await node.look()).filter((line) => /^warn a rail is not as configured: .*ENOMEM/.test(line)).length, 2);
  node.refuse = undefined;
  t.same(await node.look(), []);
  t.same(node.written, []);
  node.configure(rails(6));
  await node.look();
  t.same(node.written, [`${A} 6`]);
  node.nowMs = 60_000;
  await node.look();
  t.same(node.written, [`${A} 6`, `${B} 2`]);
});

t.test(
  "look() sets the RDMA namespace mode before it makes VFs, and only when a rail of this node says so",
  async (t) => {
    const node = new RailsNode(t).configure(rails(0));
    await node.look();
    t.equal(node.rdma.mode, 1);
    node.configure(rails(4, ", rdma: exclusive"));
    t.same(await node.look(), ["info RDMA namespace mode set", "info VFs made"]);
    t.equal(node.rdma.mode, 0);
    t.same(await node.look(), []);
    node.configure("[{name: rail9, rdma: shared, pf: {names: [ens9]}}]");
    await node.look();
    t.equal(node.rdma.mode, 0);
  },
);

t.test("look() says what helps when the RDMA namespace mode cannot be set, and makes the VFs", async (t) => {
  const node = new RailsNode(t).configure(rails(4, ", rdma: exclusive"));
  node.rdma.refuse = "EBUSY";
  t.same((await node.look()).slice(2), [
    "warn a rail is not as configured: cannot set the RDMA namespace mode to exclusive: EBUSY: pods or other network namespaces exist already: " +
      'put "options ib_core netns_mode=0" into /etc/modprobe.d/ib_core.conf and reboot',
    "info VFs made",
    "info VFs made",
  ]);
});

t.test("look() brings VFs back that somebody removed", async (t) => {
  const node = new RailsNode(t).configure(rails(4));
  await node.look();
  node.tree.writeNumVfs(A, 0);
  t.same(await node.look(), ["info VFs made"]);
  t.equal(node.tree.numVfs(A), "4");
});

t.test(
  "look() sets PFs up beside each other: one that is stuck keeps no other waiting, nor the next look",
  async (t) => {
    const stuck = Promise.withResolvers<void>();
    const written: string[] = [];
    const node: RailsNode = new RailsNode(t, {
      setNumVfs: async ({ pci }, count) => {
        if (pci === A) await stuck.promise;
        written.push(`${pci} ${count}`);
        node.tree.writeNumVfs(pci, count);
      },
    }).configure(rails(4));
    const first = node.keeper.look();
    await until("VFs are made", () => written.length > 0);
    t.same(written, [`${B} 2`]);
    const second = node.keeper.look();
    t.same(node.here(), ["rail0 ens1", "rail1 ens2"], "what is here is known meanwhile");
    stuck.resolve();
    await Promise.all([first, second]);
    t.same(written, [`${B} 2`, `${A} 4`], "and each was asked once");
  },
);

t.test("look() that must not wait follows a changed list while a PF is stuck", { timeout: 20_000 }, async (t) => {
  const stuck = Promise.withResolvers<void>();
  const seen: string[][] = [];
  const node = new RailsNode(t, {
    setNumVfs: () => stuck.promise,
    onHere: (here) => void seen.push(here.map(({ rail }) => rail.name)),
  }).configure(rails(4));
  await node.keeper.look(0);
  node.configure("[{name: rail7, pf: {names: [ens1]}}]");
  await node.keeper.look(0);
  t.same(seen, [["rail0", "rail1"], ["rail7"]], "the tenants' list is not held up");
  stuck.resolve();
});

t.test("look() finds a PF by its alternative name", async (t) => {
  const node = new RailsNode(t).configure("[{name: rail0, pf: {names: [fast0]}}]");
  await node.look();
  t.same(node.here(), ["rail0 ens1"]);
});

for (const [what, change, why] of [
  ["InfiniBand", (tree: PfTree) => tree.file(A, "net/ens1/type", "32\n"), /not Ethernet \(type 32\)/],
  [
    "switchdev",
    (tree: PfTree) => tree.addRepresentors(A, "ens1"),
    /switchdev mode, and representors are not supported/,
  ],
] as const)
  t.test(`look() makes no VFs of a PF that cannot be a rail: ${what}`, async (t) => {
    const node = new RailsNode(t).configure(rails(4));
    change(node.tree);
    t.match(await node.look(), [/here|node/, /node/, why, /VFs made/]);
    t.same(node.written, [`${B} 2`]);
    t.same(node.here(), ["rail0 ens1", "rail1 ens2"], "it keeps its own name");
    t.same(await node.look(), [], "said once");
  });

t.test(
  "RailKeeper has the rails of RailNetworks where there are some, and the ConfigMap's when they are gone",
  async (t) => {
    const node = new RailsNode(t).configure("[{name: old, pf: {names: [ens1]}}]");
    await node.look();
    t.same(node.here(), ["old ens1"]);
    node.follow([
      { name: "first", rails: [{ name: "rail0", pf: { names: ["ens1"] }, vfs: 4, mtu: 9000 }] },
      {
        name: "second",
        rails: [
          { name: "rail1", pf: { names: ["ens1"] } },
          { name: "rail0", pf: { names: ["ens2"] } },
        ],
      },
    ]);
    await node.look();
    t.same(node.here(), ["rail0 ens1"]);
    t.same(node.tree.numVfs(A), "4");
    t.match(node.keeper.seen, {
      networks: ["first", "second"],
      unusable: "",
      absent: [
        { rail: "rail0", why: "RailNetwork second: rail rail0 of RailNetwork first already has this name" },
        { rail: "rail1", why: "ens1 (0000:a0:00.0) is the PF of rail rail0" },
      ],
    });
    node.follow([]);
    await node.look();
    t.same(node.here(), ["old ens1"]);
    t.same(node.tree.numVfs(A), "4", "VFs stay");
  },
);
