import { mkdirSync, symlinkSync, unlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import * as sysfs from "../../kernel/sysfs.ts";

/** The tree of sriov-cni's own tests, two PFs with one VF each more: a sysfs as the kernel lays it out. */
function tree(t: Test): string {
  const root = t.testdir();
  const dir = (...path: string[]) => mkdirSync(join(root, ...path), { recursive: true });
  const file = (path: string, text: string) => writeFileSync(join(root, path), text);
  dir("bus/pci/devices");
  dir("bus/pci/drivers/mlx5_core");
  dir("bus/pci/drivers/vfio-pci");
  dir("class/net");
  const device = (pci: string, net?: string) => {
    dir("devices/pci0000:ae", pci);
    symlinkSync(`../../../devices/pci0000:ae/${pci}`, join(root, "bus/pci/devices", pci));
    if (!net) return;
    dir("devices/pci0000:ae", pci, "net", net);
    symlinkSync(`../../devices/pci0000:ae/${pci}/net/${net}`, join(root, "class/net", net));
  };
  const pf = (pci: string, net: string | undefined, vfs: readonly string[], mtu = 1500) => {
    device(pci, net);
    file(`devices/pci0000:ae/${pci}/sriov_totalvfs`, "8\n");
    file(`devices/pci0000:ae/${pci}/sriov_numvfs`, `${vfs.length}\n`);
    if (net) file(`devices/pci0000:ae/${pci}/net/${net}/mtu`, `${mtu}\n`);
    for (const [i, vf] of vfs.entries()) {
      symlinkSync(`../${pci}`, join(root, "devices/pci0000:ae", vf, "physfn"));
      symlinkSync(`../${vf}`, join(root, "devices/pci0000:ae", pci, `virtfn${i}`));
    }
  };
  const driver = (pci: string, name: string) =>
    symlinkSync(`../../../bus/pci/drivers/${name}`, join(root, "devices/pci0000:ae", pci, "driver"));
  device("0000:af:06.0", "enp175s6");
  device("0000:af:06.1", "enp175s7");
  device("0000:af:07.0");
  pf("0000:af:00.1", "enp175s0f1", ["0000:af:06.0", "0000:af:06.1"], 9000);
  pf("0000:af:00.0", "enp175s0f0", []);
  pf("0000:b0:00.0", undefined, ["0000:af:07.0"]);
  device("0000:00:02.0", "eth0");
  driver("0000:af:06.0", "mlx5_core");
  driver("0000:af:07.0", "vfio-pci");
  dir("devices/pci0000:ae/0000:af:06.0/infiniband/mlx5_4");
  return root;
}

t.test("pfOf() names the PF of a VF and the VF's index", async (t) => {
  const root = tree(t);
  t.same(sysfs.pfOf(root, "0000:af:06.0"), { name: "enp175s0f1", pci: "0000:af:00.1", vf: 0 });
  t.same(sysfs.pfOf(root, "0000:af:06.1"), { name: "enp175s0f1", pci: "0000:af:00.1", vf: 1 });
});

t.test("pfOf() is undefined when the PF has no link, does not list the VF, or there is none", async (t) => {
  const root = tree(t);
  t.equal(sysfs.pfOf(root, "0000:af:07.0"), undefined);
  t.equal(sysfs.pfOf(root, "0000:af:00.1"), undefined);
  unlinkSync(join(root, "devices/pci0000:ae/0000:af:00.1/virtfn1"));
  t.equal(sysfs.pfOf(root, "0000:af:06.1"), undefined);
});

t.test("exists(), isVf() and isPf() tell the devices apart", async (t) => {
  const root = tree(t);
  for (const { pci, want } of [
    { pci: "0000:af:06.0", want: [true, true, false] },
    { pci: "0000:af:00.1", want: [true, false, true] },
    { pci: "0000:af:00.0", want: [true, false, true] },
    { pci: "0000:00:02.0", want: [true, false, false] },
    { pci: "0000:ff:00.0", want: [false, false, false] },
  ])
    t.same([sysfs.exists(root, pci), sysfs.isVf(root, pci), sysfs.isPf(root, pci)], want, pci);
});

t.test("netdevOf(), driverOf() and rdmaDevicesOf() read what a device has", async (t) => {
  const root = tree(t);
  t.equal(sysfs.netdevOf(root, "0000:af:06.0"), "enp175s6");
  t.equal(sysfs.netdevOf(root, "0000:af:07.0"), undefined);
  t.equal(sysfs.driverOf(root, "0000:af:06.0"), "mlx5_core");
  t.equal(sysfs.driverOf(root, "0000:af:07.0"), "vfio-pci");
  t.equal(sysfs.driverOf(root, "0000:af:06.1"), undefined);
  t.same(sysfs.rdmaDevicesOf(root, "0000:af:06.0"), ["mlx5_4"]);
  t.same(sysfs.rdmaDevicesOf(root, "0000:af:06.1"), []);
});

t.test("mtuOf() and numVfsOf() are numbers", async (t) => {
  const root = tree(t);
  t.equal(sysfs.mtuOf(root, "enp175s0f1"), 9000);
  t.equal(sysfs.mtuOf(root, "enp175s6"), undefined);
  t.equal(sysfs.numVfsOf(root, "0000:af:00.1"), 2);
  t.equal(sysfs.numVfsOf(root, "0000:af:00.0"), 0);
  t.equal(sysfs.numVfsOf(root, "0000:af:06.0"), 0);
});

t.test("listPfs() lists the PFs that have a link, by PCI address", async (t) => {
  t.same(sysfs.listPfs(tree(t)), [
    { name: "enp175s0f0", pci: "0000:af:00.0", numVfs: 0 },
    { name: "enp175s0f1", pci: "0000:af:00.1", numVfs: 2 },
  ]);
  t.same(sysfs.listPfs(join(t.testdirName, "no such tree")), []);
});

t.test("findPf() takes a name, a PCI address or an index", async (t) => {
  const pfs = sysfs.listPfs(tree(t));
  for (const { which, want } of [
    { which: "enp175s0f1", want: 1 },
    { which: "0000:AF:00.0", want: 0 },
    { which: 0, want: 0 },
    { which: 1, want: 1 },
    { which: 2, want: -1 },
    { which: -1, want: -1 },
    { which: 0.5, want: -1 },
    { which: "enp175s6", want: -1 },
    { which: "", want: -1 },
  ])
    t.equal(sysfs.findPf(pfs, which), pfs[want], `${which}`);
});

for (const pci of ["../../../etc", "..", ".", "", "0000:af:06.0/..", "0000:af:06.0/net"])
  t.test(`sysfs finds nothing under the address ${JSON.stringify(pci)}`, async (t) => {
    const root = tree(t);
    t.equal(sysfs.exists(root, pci), false);
    t.equal(sysfs.isVf(root, pci) || sysfs.isPf(root, pci), false);
    t.equal(sysfs.netdevOf(root, pci), undefined);
    t.equal(sysfs.driverOf(root, pci), undefined);
    t.equal(sysfs.pfOf(root, pci), undefined);
  });

for (const netdev of ["..", ".", "", "../net/enp175s0f1", "enp175s0f1/."])
  t.test(`mtuOf() finds nothing under the name ${JSON.stringify(netdev)}`, async (t) => {
    t.equal(sysfs.mtuOf(tree(t), netdev), undefined);
  });

for (const [what, ports, want] of [
  ["the uplink among representors", { a0: "pf0vf0", a1: "pf0vf1", b0: "p0", c0: "pf0sf88" }, "b0"],
  ["the uplink on a DPU", { a0: "c1pf0vf3", b0: "p1", c0: "pf0hpf" }, "b0"],
  ["the uplink beside a link that came first, and is no port", { a0: "", b0: "p0" }, "b0"],
  ["what was made first where drivers name no port", { z0: "", a1: "" }, "z0"],
  ["no representor for lack of an uplink", { a0: "pf0vf0", a1: "pf0vf1" }, undefined],
] as const)
  t.test(`netdevOf() takes ${what}`, async (t) => {
    const root = tree(t);
    const net = join(root, "devices/pci0000:ae/0000:b0:00.0/net");
    for (const [i, [name, port]] of Object.entries(ports).entries()) {
      mkdirSync(join(net, name), { recursive: true });
      writeFileSync(join(net, name, "ifindex"), `${i + 5}\n`);
      if (port) writeFileSync(join(net, name, "phys_port_name"), `${port}\n`);
    }
    t.equal(sysfs.netdevOf(root, "0000:b0:00.0"), want);
    t.equal(sysfs.pfOf(root, "0000:af:07.0")?.name, want);
    t.equal(
      sysfs.hasRepresentors(root, "0000:b0:00.0"),
      Object.values(ports).some((port) => port.includes("vf")),
    );
  });
