import t from "tap";
import { parseRails } from "../../../daemonset/rails/config.ts";
import { listPfFacts, type PfFacts, selectPfs } from "../../../daemonset/rails/select.ts";
import { PfTree } from "../support/pf-tree.ts";

const PFS: readonly PfFacts[] = [
  { pci: "0000:18:00.0", name: "ens1f0np0", vendor: "15b3", driver: "mlx5_core" },
  { pci: "0000:18:00.1", name: "ens1f1np1", vendor: "15b3", driver: "mlx5_core" },
  { pci: "0000:af:00.0", name: "eno1", vendor: "8086", driver: "igb" },
  { pci: "0000:b0:00.0", vendor: "8086" },
];
const select = (...pfs: readonly string[]) =>
  selectPfs(parseRails(pfs.map((pf, i) => `- {name: rail${i}, pf: ${pf}}`).join("\n")), PFS);

for (const { pf, want } of [
  { pf: "{names: [ens1f1np1]}", want: "0000:18:00.1" },
  { pf: "{names: [other, eno1]}", want: "0000:af:00.0" },
  { pf: "{pciAddresses: ['0000:AF:00.0']}", want: "0000:af:00.0" },
  { pf: "{vendors: [8086]}", want: "0000:af:00.0" },
  { pf: "{drivers: [mlx5_core]}", want: "0000:18:00.0" },
  { pf: "{drivers: [mlx5_core], names: [ens1f1np1]}", want: "0000:18:00.1" },
  { pf: "{pciAddresses: ['0000:b0:00.0']}", want: "0000:b0:00.0" },
  { pf: "{vendors: [8086], drivers: [mlx5_core]}", want: undefined },
  { pf: "{names: ['']}".replace("''", "nothing"), want: undefined },
])
  t.test(`selectPfs() finds ${want ?? "nothing"} by ${pf}`, async (t) => {
    const { here, absent } = select(pf);
    t.same(
      here.map((one) => one.pf.pci),
      want ? [want] : [],
    );
    t.same(absent, want ? [] : [{ rail: "rail0", why: "no PF of this node matches its selectors" }]);
  });

t.test("selectPfs() gives a PF to one rail, and the next rail not the next PF", async (t) => {
  const { here, absent } = select("{drivers: [mlx5_core]}", "{vendors: [15b3]}", "{names: [ens1f1np1]}");
  t.same(
    here.map(({ rail, pf }) => [rail.name, pf.pci]),
    [
      ["rail0", "0000:18:00.0"],
      ["rail2", "0000:18:00.1"],
    ],
  );
  t.same(absent, [{ rail: "rail1", why: "ens1f0np0 (0000:18:00.0) is the PF of rail rail0" }]);
});

t.test("selectPfs() knows VFs of a PF as the SR-IOV device plugin writes them", async (t) => {
  const { here, absent } = select(
    "{names: ['ens1f0np0#0,4-7']}",
    "{names: ['ens1f0np0#1-3']}",
    "{pciAddresses: ['0000:18:00.0#3-5']}",
    "{names: ['ens1f0np0']}",
    "{names: ['ens1f1np1#0-3'], pciAddresses: ['0000:18:00.1#2-9']}",
  );
  t.same(
    here.map(({ rail, pf, ranges }) => [rail.name, pf.name, ranges]),
    [
      [
        "rail0",
        "ens1f0np0",
        [
          [0, 0],
          [4, 7],
        ],
      ],
      ["rail1", "ens1f0np0", [[1, 3]]],
      ["rail4", "ens1f1np1", [[2, 3]]],
    ],
  );
  t.same(absent, [
    { rail: "rail2", why: "of ens1f0np0 (0000:18:00.0) the VFs 0,4-7 are those of rail rail0, and it wants 3-5" },
    { rail: "rail3", why: "ens1f0np0 (0000:18:00.0) is the PF of rail rail0" },
  ]);
});

t.test("selectPfs() leaves out a rail that wants another number of VFs than the one it shares a PF with", async (t) => {
  const rails = parseRails(`[{name: a, vfs: 8, pf: {names: ['eno1#0-3']}}, {name: b, vfs: 4, pf: {names: ['eno1#4-7']}},
    {name: c, pf: {names: ['eno1#6']}}]`);
  const { here, absent } = selectPfs(rails, PFS);
  t.same(
    here.map(({ rail }) => rail.name),
    ["a", "c"],
  );
  t.match(absent, [{ rail: "b", why: /^rail a wants 8 VFs of eno1 \(0000:af:00.0\), and it wants 4: say the same/ }]);
});

t.test("selectPfs() finds VFs by a PF's alternative name", async (t) => {
  const rails = parseRails("[{name: a, pf: {names: ['enp24s0f0np0#2']}}]");
  const { here } = selectPfs(rails, PFS, (altname) => (altname === "enp24s0f0np0" ? "ens1f0np0" : undefined));
  t.match(here, [{ pf: { name: "ens1f0np0" }, ranges: [[2, 2]] }]);
});

t.test("listPfFacts() lists what has SR-IOV, in the order of PCI addresses", async (t) => {
  const tree = new PfTree(t.testdir());
  tree.addPf({ pci: "0000:b0:00.0", netdev: "b", vendor: "8086", driver: "igb" });
  tree.addPf({ pci: "0000:a0:00.0", netdev: "a" });
  tree.add({ pci: "0000:00:02.0", netdev: "eth0", driver: "virtio_net" });
  tree.writeNumVfs("0000:b0:00.0", 2);
  tree.removeNetdev("0000:a0:00.0", "a");
  t.same(listPfFacts(tree.root), [
    { pci: "0000:a0:00.0", vendor: "15b3", driver: "mlx5_core" },
    { pci: "0000:b0:00.0", name: "b", vendor: "8086", driver: "igb" },
  ]);
});
