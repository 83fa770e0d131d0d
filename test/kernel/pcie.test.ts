import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t from "tap";
import { carrierChangesOf, ecnOf, listGpus, modelOf, nearestGpus, pcieLinkOf, pcieRootOf } from "../../kernel/pcie.ts";

const root = t.testdir();

/** A function below root and bridges, as `devices/pci0000:15/0000:15:01.0/0000:16:00.0/…`. */
function add(path: string, files: Readonly<Record<string, string>>): void {
  const pci = path.slice(path.lastIndexOf("/") + 1);
  const dir = join(root, "devices", path);
  mkdirSync(dir, { recursive: true });
  mkdirSync(join(root, "bus/pci/devices"), { recursive: true });
  symlinkSync(`../../../devices/${path}`, join(root, "bus/pci/devices", pci));
  for (const [name, text] of Object.entries(files)) writeFileSync(join(dir, name), `${text}\n`);
}

function addLink(netdev: string, files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) {
    const file = join(root, "class/net", netdev, name);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, `${text}\n`);
  }
}

// As two halves of an HGX node: a switch with one NIC and two GPUs below each of two root ports, and a BMC's VGA.
const SWITCH = "pci0000:15/0000:15:01.0/0000:16:00.0";
add(`${SWITCH}/0000:17:00.0/0000:18:00.0`, {
  vendor: "0x15b3",
  device: "0x1021",
  class: "0x020000",
  current_link_speed: "32.0 GT/s PCIe",
  current_link_width: "8",
  max_link_speed: "32.0 GT/s PCIe",
  max_link_width: "16",
});
add(`${SWITCH}/0000:17:01.0/0000:19:00.0`, { vendor: "0x10de", device: "0x2330", class: "0x030200" });
add(`${SWITCH}/0000:17:02.0/0000:1a:00.0`, { vendor: "0x10de", device: "0x2330", class: "0x030200" });
add("pci0000:15/0000:15:02.0/0000:1b:00.0", { vendor: "0x1002", device: "0x74a1", class: "0x120000" });
add("pci0000:35/0000:35:01.0/0000:38:00.0", { vendor: "0x10de", device: "0x2330", class: "0x030200" });
add("pci0000:35/0000:35:02.0/0000:39:00.0", { vendor: "0x1a03", device: "0x2000", class: "0x030000" });
add("pci0000:55/0000:55:00.0", { class: "0x020000", current_link_speed: "Unknown", current_link_width: "0" });
addLink("ens1", { carrier_changes: "7", "ecn/roce_np/enable/3": "1", "ecn/roce_np/enable/0": "0", "ecn/roce_np/enable/4": "1", "ecn/roce_rp/enable/3": "1" }); // biome-ignore format: one row
addLink("eth0", { mtu: "1500" });

t.test("pcieLinkOf() reads what the link is and could be", async (t) => {
  t.same(pcieLinkOf(root, "0000:18:00.0"), { speed: "32.0 GT/s PCIe", width: 8, maxSpeed: "32.0 GT/s PCIe", maxWidth: 16 }); // biome-ignore format: one row
  t.equal(pcieLinkOf(root, "0000:55:00.0"), undefined);
  t.equal(pcieLinkOf(root, "0000:99:00.0"), undefined);
});

t.test("pcieRootOf() and modelOf() tell root complex and model", async (t) => {
  t.equal(pcieRootOf(root, "0000:18:00.0"), "pci0000:15");
  t.equal(pcieRootOf(root, "0000:99:00.0"), undefined);
  t.equal(modelOf(root, "0000:18:00.0"), "15b3:1021");
  t.equal(modelOf(root, "0000:55:00.0"), undefined);
});

t.test("nearestGpus() finds those below the same switch, and none behind another root", async (t) => {
  const gpus = listGpus(root);
  t.same(gpus, ["0000:19:00.0", "0000:1a:00.0", "0000:1b:00.0", "0000:38:00.0"], "a BMC is no GPU");
  t.same(nearestGpus(root, "0000:18:00.0", gpus), ["0000:19:00.0", "0000:1a:00.0"]);
  t.same(
    nearestGpus(root, "0000:18:00.0", ["0000:38:00.0", "0000:1b:00.0"]),
    ["0000:1b:00.0"],
    "the same root at least",
  );
  t.same(nearestGpus(root, "0000:55:00.0", gpus), []);
});

t.test("ecnOf() tells priorities on at both ends, nothing where the driver does not tell", async (t) => {
  t.equal(ecnOf(root, "ens1"), "3");
  t.equal(ecnOf(root, "eth0"), undefined);
  t.equal(carrierChangesOf(root, "ens1"), 7);
  t.equal(carrierChangesOf(root, "gone"), 0);
});
