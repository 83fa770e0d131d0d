import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { writeNetworks } from "../../../daemonset/rail-network/file.ts";
import { writeGoverned } from "../../../daemonset/rail-network/governed.ts";
import type { FollowedNetwork } from "../../../daemonset/rail-network/listed.ts";
import { toRail } from "../../../daemonset/rails/config.ts";
import { DoubleNode, type Pod } from "./support/node.ts";
import { PROFILES, type Profile } from "./support/profiles.ts";

// What a tenant gets of rails that a RailNetwork gives to pods, whatever got past admission: the product's own ADD on doubles of
// six drivers.

t.setTimeout(600_000); // on a busy machine
const VLAN = 7;
const REFERENCE = { network: "ishikari", rail: "rail0", ipam: undefined };
const ishikari: FollowedNetwork = {
  name: "ishikari",
  rails: [{ name: "rail0", pf: { names: ["ens1#0-2"] } }],
  pods: { namespaces: { matchLabels: { rails: "allowed" } }, settings: { vlan: VLAN }, allow: ["mac"] },
  namespaces: ["team-a"],
};

/** A node whose VFs 0 to 2 are of the RailNetwork, and whose kubelet gave the first one to pod u0, the second to u1. */
class Governed {
  readonly node: DoubleNode;
  readonly #kubelet: string;

  constructor(profile: Profile = PROFILES.igb, networks: readonly FollowedNetwork[] = [ishikari]) {
    this.node = new DoubleNode(profile, { vfs: 4 });
    const { dir } = this.node;
    const networksFile = join(dir, "state/rail-networks.json");
    this.#kubelet = join(dir, "kubelet");
    mkdirSync(this.#kubelet);
    writeNetworks(networksFile, networks);
    const here = [{ rail: toRail({ ...ishikari.rails[0]! }, 0), pf: { pci: "0000:a0:00.0", name: "ens1" }, ranges: [[0, 2]] as const }]; // biome-ignore format: one row
    writeGoverned(here, { networks: networksFile }, { stateDir: join(dir, "state"), devicePlugins: this.#kubelet });
    this.give(
      ["u0", "railnet.io/rail0", this.node.vf(0).link.pci],
      ["u1", "railnet.io/rail0", this.node.vf(1).link.pci],
    );
  }

  /** What the kubelet notes. */
  give(...given: readonly (readonly [pod: string, resource: string, id: string])[]): this {
    const PodDeviceEntries = given.map(([PodUID, ResourceName, id]) => ({
      ...{ PodUID, ResourceName, ContainerName: "main", DeviceIDs: { "-1": [id] }, AllocResp: "" },
    }));
    const text = JSON.stringify({ Data: { PodDeviceEntries, RegisteredDevices: {} }, Checksum: 1 });
    writeFileSync(join(this.#kubelet, "kubelet_internal_checkpoint"), text);
    return this;
  }

  add(pod: Pod, config: object, { index = 0, uid = "u0", namespace = "team-a" as string | null } = {}) {
    const args = [`K8S_POD_UID=${uid}`, "K8S_POD_NAME=x", ...(namespace ? [`K8S_POD_NAMESPACE=${namespace}`] : [])];
    return this.node.add(pod, config, index, { CNI_ARGS: `IgnoreUnknown=1;${args.join(";")}` });
  }
}

for (const [name, profile] of Object.entries(PROFILES))
  t.test(`${name}: a tenant cannot change the MAC, nor the VLAN, and the VF is as before in the end`, async (t) => {
    const governed = new Governed(profile);
    using node = governed.node;
    const before = node.picture();
    const pod = node.pod();
    await governed.add(pod, REFERENCE);
    const vf = node.vf();
    node.settle();
    t.match(vf.state, { spoofchk: true, trust: false, vlan: VLAN });
    vf.link.up = true;
    t.equal(node.nic.passes(vf), true, "what it sends by its own MAC gets out");
    const { mac } = vf.link;
    const outcome = () => {
      try {
        node.nic.setLinkMac(vf, "02:66:00:00:00:99");
        return "taken";
      } catch {
        return "refused";
      }
    };
    const changed = outcome();
    if (changed === "taken") t.equal(node.nic.passes(vf), false, "what it sends by another's MAC does not");
    else t.equal(vf.link.mac, mac, "the driver refuses another one");
    await node.del(pod, REFERENCE);
    node.settle();
    const { state, pinned: _pinned, ...after } = node.picture();
    const { state: stateBefore, pinned: _was, ...rest } = before;
    t.same(after, rest);
    t.same({ ...state, mac: "" }, { ...stateBefore, mac: "" });
  });

/** What he asks, and what he is told. */
const refusals: readonly (readonly [what: string, ask: (g: Governed, pod: Pod) => Promise<unknown>, error: { code: number; msg: RegExp }])[] = [
  ["a network of one's own for a VF of the RailNetwork", (g, pod) => g.add(pod, { trust: "on", vlan: 5 }), { code: 7, msg: /cannot use deviceID "0000:a0:02.0": RailNetwork ishikari gives it to pods, through networks that refer to it: want/ }],
  ["another RailNetwork's", (g, pod) => g.add(pod, { ...REFERENCE, network: "other" }), { code: 7, msg: /no RailNetwork of this name/ }],
  ["a namespace without the right", (g, pod) => g.add(pod, REFERENCE, { namespace: "team-b" }), { code: 7, msg: /pods of namespace team-b may not use it: spec\.pods\.namespaces/ }],
  ["no namespace", (g, pod) => g.add(pod, REFERENCE, { namespace: null }), { code: 7, msg: /has no K8S_POD_NAMESPACE/ }],
  ["a VF of another pod", (g, pod) => g.add(pod, REFERENCE, { index: 1 }), { code: 101, msg: /cannot attach 0000:a0:02\.1: the kubelet did not give it to this pod as railnet\.io\/rail0.*leave deviceID out/ }],
  ["a VF that nobody has", (g, pod) => g.add(pod, REFERENCE, { index: 2 }), { code: 101, msg: /did not give it to this pod/ }],
  ["a VF of no rail", (g, pod) => g.add(pod, REFERENCE, { index: 3 }), { code: 103, msg: /belongs to no rail of RailNetwork ishikari on this node/ }],
  ["a VF of another pod as pciBusID", (g, pod) => g.add(pod, { ...REFERENCE, pciBusID: g.node.vf(1).link.pci }), { code: 101, msg: /cannot attach 0000:a0:02\.1/ }],
  ["a VF of another pod beside one's own", (g, pod) => g.add(pod, { ...REFERENCE, runtimeConfig: { deviceID: g.node.vf(0).link.pci }, deviceID: g.node.vf(1).link.pci }), { code: 101, msg: /cannot attach 0000:a0:02\.1/ }],
  ["in capitals", (g, pod) => g.add(pod, { ...REFERENCE, deviceID: undefined, DEVICEID: g.node.vf(1).link.pci.toUpperCase() }), { code: 101, msg: /cannot attach 0000:a0:02\.1/ }],
  ["trust", (g, pod) => g.add(pod, { ...REFERENCE, trust: "on" }), { code: 7, msg: /cannot use trust "on": RailNetwork ishikari sets this/ }],
  ["no pinned MAC", (g, pod) => g.add(pod, { ...REFERENCE, pinMac: false }), { code: 7, msg: /cannot use pinMac false: RailNetwork ishikari sets this/ }],
  ["no UID", (g, pod) => g.add(pod, REFERENCE, { uid: "" }), { code: 7, msg: /has no K8S_POD_UID.*containerd/ }],
  ["a resource of another rail", (g, pod) => g.give(["u0", "other.io/x", g.node.vf(0).link.pci]).add(pod, REFERENCE), { code: 101, msg: /did not give it to this pod/ }],
]; // biome-ignore format: rows
for (const [what, ask, error] of refusals)
  t.test(`a tenant gets nothing by ${what}`, async (t) => {
    const governed = new Governed();
    using node = governed.node;
    const before = node.vf().state;
    await t.rejects(ask(governed, node.pod()), error);
    t.same(node.vf().state, before, "nothing was done");
  });

t.test("what the kubelet gave, alone or in a set, and VFs of no RailNetwork", async (t) => {
  const governed = new Governed();
  using node = governed.node;
  await governed.add(node.pod(), { ...REFERENCE, mac: "02:66:00:00:00:05" });
  t.equal(node.vf().state.mac, "02:66:00:00:00:05", "what is allowed is taken");
  const own = node.pod();
  await governed.add(own, { trust: "on" }, { index: 3, namespace: "team-b" });
  t.equal(node.vf(3).state.trust, true, "as without a RailNetwork");
  governed.give(["u1", "railnet.io/rails", `${node.vf(1).link.pci},0000:b0:02.0`]);
  await governed.add(node.pod(), REFERENCE, { index: 1, uid: "u1" });
});

t.test("a RailNetwork for every namespace asks for none; one without pods governs nothing", async () => {
  const { namespaces: _, ...open } = ishikari;
  const forAll = new Governed(PROFILES.igb, [{ ...open, pods: { namespaces: {} } }]);
  using node = forAll.node;
  await forAll.add(node.pod(), REFERENCE, { namespace: null });
  const { pods: __, ...bare } = open;
  const before = new Governed(PROFILES.igb, [bare]);
  using other = before.node;
  await before.add(other.pod(), { trust: "on" }, { namespace: "team-b", uid: "" });
});

t.test("a checkpoint that cannot be read is waited for", async (t) => {
  const governed = new Governed();
  using node = governed.node;
  writeFileSync(join(node.dir, "kubelet/kubelet_internal_checkpoint"), "{");
  await t.rejects(governed.add(node.pod(), REFERENCE), {
    code: 11,
    msg: /cannot tell to which pod the kubelet gave a VF/,
  });
  writeFileSync(join(node.dir, "state/governed-rails.json"), "[]");
  await t.rejects(governed.add(node.pod(), { trust: "on" }), { code: 11, msg: /governed-rails\.json was written by another version/ }); // biome-ignore format: one row
});
