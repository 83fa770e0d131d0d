import type { Test } from "tap";
import type { Wanted } from "../support/attachment.ts";
import { failures, type Node, shim, type Vf } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

/** A VF that userspace drives has no link: only the PF's settings for it are set and restored. */
export async function vfioTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const vf = node.vf(3, 3);
  await node.startAgent();
  await bind(node, vf, "vfio-pci");
  await node.ask("ip netns add vfio");
  const atPf = () => node.ask(`ip -d link show ${vf.pf} | grep -E '^ +vf ${vf.index} '`);
  const settings = { vlan: 30, vlanQoS: 2, mac: "02:00:00:00:03:03", trust: "on", spoofchk: "off", max_tx_rate: 100 };
  const wanted: Wanted = { pod: "vfio", vf, settings };

  await t.test("ADD of a VF at vfio-pci sets what the PF keeps for it; DEL restores that", async (t) => {
    const before = await atPf();
    const [added] = await shim(node, "ADD", [wanted]);
    t.match(
      added!.json.interfaces,
      [{ name: "net1", mac: settings.mac, sandbox: "/run/netns/vfio", pciID: vf.pci }],
      "ADD",
    );
    const set = await atPf();
    for (const words of ["vlan 30, qos 2", settings.mac, "spoof checking off", "trust on", "max_tx_rate 100Mbps"])
      t.match(set, words, words);
    t.equal(await node.ask("ip -n vfio -br link | grep -v -e ^lo -e ^eth0 || true"), "", "no link is in the pod");
    t.same(
      failures(await shim(node, "CHECK", [{ ...wanted, settings: { ...settings, prevResult: added!.json } }])),
      [],
      "CHECK",
    );
    t.same(failures(await shim(node, "DEL", [wanted])), [], "DEL at the first call, with a namespace that lives");
    t.equal(await atPf(), before, "all restored");
    t.same(await node.journal(), [], "nothing is remembered");
  });

  await t.test("DEL gives a VF at vfio-pci the MAC again that its application changed", async (t) => {
    await node.ask(`ip link set ${vf.pf} vf ${vf.index} mac 02:00:00:00:03:0a`);
    const plain: Wanted = { pod: "vfio", vf, settings: {} };
    t.same(failures(await shim(node, "ADD", [plain])), [], "ADD");
    await node.ask(`ip link set ${vf.pf} vf ${vf.index} mac 02:00:00:00:03:0b`); // as the PF does when the VF's mailbox says so
    t.same(failures(await shim(node, "DEL", [plain])), [], "DEL");
    t.match(await atPf(), "02:00:00:00:03:0a");
    await node.ask(`ip link set ${vf.pf} vf ${vf.index} mac 00:00:00:00:00:00`);
  });

  await t.test("a VF at vfio-pci is in one pod only, and free again when the namespace is gone", async (t) => {
    const before = await atPf();
    await node.ask("ip netns add second");
    const second = { ...wanted, pod: "second" };
    t.same(failures(await shim(node, "ADD", [wanted])), [], "ADD");
    const [refused] = await shim(node, "ADD", [second]);
    t.match(refused!.json, { code: 102, msg: /vfio/ }, "the second ADD is told who has it");
    await node.ask("ip netns del vfio");
    t.same(failures(await shim(node, "ADD", [second])), [], "ADD once the namespace is gone");
    t.same(failures(await shim(node, "DEL", [wanted, second])), [], "DEL");
    t.equal(await atPf(), before, "all restored");
    await node.ask("ip netns del second");
  });

  await bind(node, vf, "igbvf");
  await node.restoreMac(vf);
  await isAtRest(t, "after all");
}

async function bind(node: Node, { pci, name }: Vf, driver: string): Promise<void> {
  await node.ask(`
    modprobe ${driver.replace("-", "_")}; cd /sys/bus/pci/devices/${pci}
    echo ${driver} > driver_override; echo ${pci} > driver/unbind; echo ${pci} > /sys/bus/pci/drivers_probe; echo > driver_override
    [ "$(basename "$(readlink driver)")" = ${driver} ]
    [ ${driver} = vfio-pci ] && exit 0
    for ((i = 0; i < 100; i++)); do now=$(ls net); [ -z "$now" ] || break; sleep 0.02; done
    [ "$now" = ${name} ] || ip link set "$now" name ${name}`);
}
