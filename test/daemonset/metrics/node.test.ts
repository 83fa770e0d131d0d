import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import t from "tap";
import { PATHS } from "../../../cni/host.ts";
import { renderFamilies } from "../../../daemonset/metrics/family.ts";
import { nodeFamilies } from "../../../daemonset/metrics/node.ts";
import { SysfsTree } from "../../../lab/netns/sysfs-tree.ts";
import { readExposition } from "../support/exposition.ts";

const dir = mkdtempSync(`${tmpdir()}/railnet-metrics-`);
t.teardown(() => rmSync(dir, { recursive: true }));
const stateDir = `${dir}/state`;
const sysfs = new SysfsTree(`${dir}/sys`);

const scrape = async () => {
  const paths = { ...PATHS, sysfs: sysfs.root, stateDir };
  return readExposition(renderFamilies(nodeFamilies(paths, (pf) => (pf === "ens1" ? "rail0" : pf))));
};

t.test("nodeFamilies() of a node without SR-IOV show no VFs", async (t) => {
  t.same(
    [...(await scrape())],
    [
      ["railnet_attachments", 0],
      ["railnet_vf_debts", 0],
    ],
  );
});

t.test("nodeFamilies() count every VF once, by what the journal and sysfs say", async (t) => {
  const vf = (i: number) => `0000:18:01.${i}`;
  sysfs.add({ pci: "0000:18:00.0", netdev: "ens1", driver: "mlx5_core" });
  sysfs.add({ pci: vf(0), netdev: "ens1v0", driver: "mlx5_core" }); // free
  sysfs.add({ pci: vf(1), driver: "mlx5_core" }); // in a pod
  sysfs.add({ pci: vf(2), driver: "mlx5_core" }); // in somebody else's namespace
  sysfs.add({ pci: vf(3), driver: "vfio-pci" }); // free: userspace drives it
  sysfs.add({ pci: vf(4), driver: "vfio-pci" }); // in a pod
  sysfs.add({ pci: vf(5) }); // without driver
  sysfs.setVfs("0000:18:00.0", [0, 1, 2, 3, 4, 5].map(vf));
  sysfs.add({ pci: "0000:19:00.0", netdev: "ens2", driver: "mlx5_core" });
  sysfs.setVfs("0000:19:00.0", []); // a PF without VFs is no rail
  mkdirSync(`${stateDir}/attachments`, { recursive: true });
  for (const pci of [vf(1), vf(4)]) writeFileSync(`${stateDir}/attachments/0123456789abcdef@${pci}.json`, "");
  writeFileSync(`${stateDir}/attachments/0123456789abcdef@${vf(0)}.json.tmp`, ""); // half written: nothing yet
  const vfs = (state: string) => `railnet_vfs{pf="ens1",rail="rail0",state="${state}"}`;
  t.same(Object.fromEntries(await scrape()), {
    railnet_attachments: 2,
    railnet_vf_debts: 0,
    [vfs("owed")]: 0,
    [vfs("used")]: 2,
    [vfs("free")]: 2,
    [vfs("other")]: 2,
  });
});
