import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Test } from "tap";
import { writeNetworks } from "../../../../daemonset/rail-network/file.ts";
import { cniCall, type Wanted } from "../support/attachment.ts";
import type { CniReply, Node } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

const KUBELET = "/var/lib/kubelet/device-plugins";
const NETWORKS = "/var/lib/railnet/rail-networks.json";

/**
 * Tenants of two RailNetworks on real VFs, each root in his pod: what he does is looked at from the other pods. What a NIC's spoof
 * check drops cannot be seen here: QEMU's 82576 takes the setting and lets every source MAC out.
 */
export async function tenantTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  await node.startAgent();
  await govern(node);
  const tenants = ["evil", "good", "other"].map((pod, index): Tenant => ({ pod, uid: `u-${pod}`, index, network: pod === "other" ? "teshio" : "ishikari", rail: pod === "other" ? "rail1" : "rail0" })); // biome-ignore format: one row
  await giveVfs(node, tenants);

  await t.test("a tenant who is root in his pod has no other MAC, no other VLAN and no other device", async (t) => {
    await node.ask("ip netns add evil; ip netns add good; ip netns add other");
    for (const tenant of tenants) t.equal((await call(node, "ADD", tenant)).exit, 0, `ADD of ${tenant.pod}`);
    for (const [i, { pod }] of tenants.entries()) await node.ask(`ip -n ${pod} addr add 10.77.0.${i + 1}/24 dev net1`);
    const [{ address: mac }] = JSON.parse(await node.ask("ip -n evil -j link show net1"));
    const [vf] = JSON.parse(await node.ask("ip -j link show rail0"))[0].vfinfo_list;
    t.match(vf, { address: mac, spoofchk: true, trust: false, vlan_list: [{ vlan: 7 }] });
    const ping = async (address: string) => (await node.machine.sh(`ip netns exec evil ping -q -c 2 -i 0.2 -W 2 ${address}`)).exit; // biome-ignore format: one row
    t.equal(await ping("10.77.0.2"), 0, "his neighbour of the same network hears him");
    t.not(await ping("10.77.0.3"), 0, "a pod of another one, in another VLAN, does not");

    const change = "ip -n evil link set net1 down; ip -n evil link set net1 address 02:66:66:66:66:66";
    t.not((await node.machine.sh(change)).exit, 0, "the driver refuses another MAC");
    await node.ask("ip -n evil link set net1 up; ip -n evil addr replace 10.77.0.1/24 dev net1");
    await node.ask("for ((i = 0; i < 100; i++)); do ip netns exec evil ping -q -c 1 -W 1 10.77.0.2 && exit 0; sleep 0.1; done; exit 1"); // biome-ignore format: one row
    t.match(await node.ask("ip -n good neigh show 10.77.0.1"), `lladdr ${mac} `, "the neighbour sees his own");

    const stolen = { ...tenants[0]!, pod: "evil", ifname: "net2", index: 1 };
    t.match((await call(node, "ADD", stolen)).json, { code: 101, msg: /the kubelet did not give it to this pod/ });
    const written = { ...tenants[0]!, ifname: "net2", settings: { trust: "on", vlan: 9 } };
    t.match((await call(node, "ADD", written)).json, { code: 7, msg: /RailNetwork ishikari sets this/ });
    for (const tenant of tenants) t.equal((await call(node, "DEL", tenant)).exit, 0, `DEL of ${tenant.pod}`);
    await node.ask("ip netns del evil; ip netns del good; ip netns del other");
  });

  await node.ask(`rm -rf ${NETWORKS} ${KUBELET}/kubelet_internal_checkpoint`);
  await node.ask("for ((i = 0; i < 300; i++)); do [ -e /var/lib/railnet/governed-rails.json ] || exit 0; sleep 0.1; done; exit 1"); // biome-ignore format: one row
  await isAtRest(t, "after all");
}

interface Tenant {
  readonly pod: string;
  readonly uid: string;
  /** Of the VF on rail0. */
  readonly index: number;
  readonly network: string;
  readonly rail: string;
  readonly ifname?: string;
  readonly settings?: object;
}

/** VFs 0 and 1 of a PF are one RailNetwork's, in VLAN 7, VF 2 another's, in VLAN 8. */
async function govern(node: Node): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), "railnet-tenant-"));
  const file = join(dir, "networks");
  const network = (name: string, rail: string, vfs: string, vlan: number) => ({ name, rails: [{ name: rail, pf: { names: [`rail0#${vfs}`] } }], pods: { namespaces: {}, settings: { vlan } } }); // biome-ignore format: one row
  writeNetworks(file, [network("ishikari", "rail0", "0-1", 7), network("teshio", "rail1", "2", 8)]);
  const text = readFileSync(file, "utf8");
  rmSync(dir, { recursive: true });
  await node.ask(`mkdir -p ${KUBELET} /var/lib/railnet; umask 077; printf '%s' '${text}' > ${NETWORKS}
    for ((i = 0; i < 300; i++)); do [ -e /var/lib/railnet/governed-rails.json ] && exit 0; sleep 0.1; done; exit 1`);
}

/** As the kubelet notes it. */
async function giveVfs(node: Node, tenants: readonly Tenant[]): Promise<void> {
  const PodDeviceEntries = tenants.map(({ uid, rail, index }) => ({
    ...{ PodUID: uid, ContainerName: "main", ResourceName: `railnet.io/${rail}` },
    DeviceIDs: { "-1": [node.vf(0, index).pci] },
  }));
  await node.ask(`printf '%s' '${JSON.stringify({ Data: { PodDeviceEntries }, Checksum: 1 })}' > ${KUBELET}/kubelet_internal_checkpoint`); // biome-ignore format: one row
}

function call(node: Node, verb: string, tenant: Tenant): Promise<CniReply> {
  const { pod, uid, index, network, rail, ifname = "net1", settings = {} } = tenant;
  const wanted: Wanted = { pod, ifname, vf: node.vf(0, index), settings: { network, rail, ...settings } };
  const { env, stdin } = cniCall(verb, wanted);
  const args = `IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=${pod};K8S_POD_UID=${uid}`;
  return node.cni("shim", { env: { ...env, CNI_ARGS: args }, stdin });
}
