// A network that refers to a RailNetwork for a set: CHECK and DEL go by what ADD recorded, when the RailNetwork is long gone.
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { writeNetworks } from "../../../daemonset/rail-network/file.ts";
import { writeGoverned } from "../../../daemonset/rail-network/governed.ts";
import type { FollowedNetwork } from "../../../daemonset/rail-network/listed.ts";
import { toRail } from "../../../daemonset/rails/config.ts";
import { DoubleNode } from "./support/node.ts";
import { PROFILES, type Profile } from "./support/profiles.ts";

const RAILS = [0, 1, 2].map((n) => ({ name: `r${n}`, pf: { names: [`ens1#${n}`] } }));
const ishikari: FollowedNetwork = {
  name: "ishikari",
  rails: RAILS,
  sets: 1,
  pods: { namespaces: {}, interface: "rail{n}", settings: { vlan: 7 } },
};
const ARGS = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_UID=u0;K8S_POD_NAME=x;K8S_POD_NAMESPACE=a" };

/** Gives VF n to rail n, and all three to pod u0. */
function govern(node: DoubleNode): { networks: string; devices: string } {
  const networks = join(node.dir, "state/rail-networks.json");
  const kubelet = join(node.dir, "kubelet");
  mkdirSync(kubelet);
  writeNetworks(networks, [ishikari]);
  const here = RAILS.map((rail, n) => ({ rail: toRail(rail, n), pf: { pci: "0000:a0:00.0", name: "ens1" }, ranges: [[n, n]] as const })); // biome-ignore format: one row
  writeGoverned(here, { networks }, { stateDir: join(node.dir, "state"), devicePlugins: kubelet });
  const devices = RAILS.map((_, n) => node.vf(n).link.pci).join(",");
  const PodDeviceEntries = [{ PodUID: "u0", ResourceName: "railnet.io/rails", ContainerName: "main", DeviceIDs: { "-1": [devices] }, AllocResp: "" }]; // biome-ignore format: one row
  const checkpoint = JSON.stringify({ Data: { PodDeviceEntries, RegisteredDevices: {} }, Checksum: 1 });
  writeFileSync(join(kubelet, "kubelet_internal_checkpoint"), checkpoint);
  return { networks, devices };
}

for (const [name, profile] of Object.entries(PROFILES) as [string, Profile][])
  t.test(`${name}: a set by reference outlives its RailNetwork, and goes back whole`, async (t) => {
    using node = new DoubleNode(profile, { vfs: 3 });
    const pictures = () =>
      RAILS.map((_, n) => {
        const { state, pinned: _pinned, ...picture } = node.picture(n); // some drivers unpin no MAC
        return { ...picture, state: { ...state, mac: "" } };
      });
    const before = pictures();
    const { networks, devices } = govern(node);
    const pod = node.pod();
    const reference = { network: "ishikari", deviceID: devices, ipam: undefined };
    const result = await node.add(pod, reference, 0, ARGS);
    t.match(result, { interfaces: RAILS.map((_, n) => ({ name: `rail${n}`, pciID: node.vf(n).link.pci })) });
    t.match(node.vf(2).state, { vlan: 7, spoofchk: true, trust: false });
    writeNetworks(networks, []);
    await t.rejects(node.add(node.pod(), reference, 0, ARGS), { code: 7, message: /no RailNetwork of this name/ });
    await node.check(pod, reference, result);
    await node.del(pod, reference);
    node.settle();
    t.same(pictures(), before);
    t.same(readdirSync(join(node.dir, "state/attachments")), []);
  });
