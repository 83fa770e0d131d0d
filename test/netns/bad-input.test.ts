import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Attachment, WAYS } from "../../lab/netns/call.ts";
import { PLAIN } from "../../lab/netns/devices.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
await pod.ip("link", "add", "taken", "type", "veth", "peer", "takenp");
const [vf] = world.vfs;
const plainFile = join(world.dir, "file");
writeFileSync(plainFile, "");

interface Row {
  readonly when: string;
  readonly config?: Record<string, unknown>;
  readonly rest?: Partial<Attachment>;
  readonly code: number;
  /** What the message must name: field, value, and what to do. */
  readonly says: readonly (string | RegExp)[];
}

const ROWS: readonly Row[] = [
  { when: "without deviceID", config: { deviceID: undefined }, code: 7, says: ["deviceID", "resourceName"] },
  {
    when: "with a deviceID that is no address",
    config: { deviceID: "eth0" },
    code: 7,
    says: ["deviceID", '"eth0"', "0000:af:06.0"],
  },
  {
    when: "with a device that is not there",
    config: { deviceID: "0000:ff:00.0" },
    code: 101,
    says: ["0000:ff:00.0", "no such PCI device", "sriov_numvfs"],
  },
  { when: "with a PF", config: { deviceID: "0000:a0:00.0" }, code: 101, says: ["0000:a0:00.0", "physical function"] },
  {
    when: "with a card without SR-IOV",
    config: { deviceID: PLAIN },
    code: 101,
    says: [PLAIN, "not an SR-IOV VF"],
  },
  {
    when: "with two device addresses that differ",
    config: { pciBusID: "0000:a1:02.0" },
    code: 7,
    says: ["deviceID", vf!.pci, "0000:a1:02.0"],
  },
  {
    when: "with a VF of another rail",
    config: { rail: "rail1" },
    code: 103,
    says: [vf!.pci, "rail0 (0000:a0:00.0)", "rail1 (0000:a1:00.0)"],
  },
  {
    when: "with a VF of another rail, by PCI address",
    config: { rail: "0000:a1:00.0" },
    code: 103,
    says: ["rail0 (0000:a0:00.0)", "rail1 (0000:a1:00.0)"],
  },
  { when: "with a VF of another rail, by index", config: { rail: 1 }, code: 103, says: ["rail0", "rail 1", "rail1"] },
  {
    when: "with a rail that is not there",
    config: { rail: "rail9" },
    code: 103,
    says: ['"rail9"', "0: rail0", "1: rail1"],
  },
  { when: "with vlan 5000", config: { vlan: 5000 }, code: 7, says: ["vlan", "5000", "4094"] },
  { when: "with QoS and no VLAN", config: { vlanQoS: 3 }, code: 7, says: ["vlanQoS", "3", "vlan"] },
  { when: "with QoS 8", config: { vlan: 5, vlanQoS: 8 }, code: 7, says: ["vlanQoS", "8", "7"] },
  {
    when: "with an unknown vlanProto",
    config: { vlan: 5, vlanProto: "802.1x" },
    code: 7,
    says: ["vlanProto", "802.1x", "802.1ad"],
  },
  {
    when: "with min_tx_rate above max_tx_rate",
    config: { min_tx_rate: 10, max_tx_rate: 5 },
    code: 7,
    says: ["min_tx_rate", "10", "5"],
  },
  { when: "with an unknown link_state", config: { link_state: "up" }, code: 7, says: ["link_state", "up", "enable"] },
  { when: "with a VLAN that the PF cannot set", config: { vlan: 5 }, code: 101, says: ["vlan", vf!.pci, "rail0"] },
  { when: "with an MTU above the PF's", config: { mtu: 9000 }, code: 7, says: ["mtu", "9000", "1500", "rail0"] },
  { when: "with an MTU that no link has", config: { mtu: 10 }, code: 7, says: ["mtu", "10", "68"] },
  {
    when: "with a MAC that is none",
    config: { mac: "02:00:00:00:01" },
    code: 7,
    says: ["mac", "02:00:00:00:01", "02:00:00:00:00:01"],
  },
  {
    when: "with a multicast MAC",
    config: { mac: "01:00:00:00:00:01" },
    code: 7,
    says: ["mac", "01:00:00:00:00:01", "multicast"],
  },
  {
    when: "with a bad MAC in runtimeConfig",
    config: { runtimeConfig: { mac: "x" } },
    code: 7,
    says: ["runtimeConfig.mac", '"x"'],
  },
  {
    when: "with a bad MAC in CNI_ARGS",
    rest: { env: { CNI_ARGS: "IgnoreUnknown=1;MAC=x" } },
    code: 7,
    says: ["CNI_ARGS", "MAC", '"x"'],
  },
  { when: "with an unknown rdma", config: { rdma: "yes" }, code: 7, says: ["rdma", '"yes"', "required"] },
  {
    when: "with RDMA required and none there",
    config: { rdma: "required" },
    code: 104,
    says: [vf!.pci, "no RDMA device"],
  },
  {
    when: "with a sysctl outside net.",
    config: { sysctl: { "kernel.panic": "1" } },
    code: 7,
    says: ["sysctl", "kernel.panic", "net."],
  },
  {
    when: "with a sysctl that leaves net.",
    config: { sysctl: { "net../../kernel.panic": "1" } },
    code: 7,
    says: ["sysctl", "net."],
  },
  {
    when: "with a sysctl that the kernel does not have",
    config: { sysctl: { "net.ipv4.conf.IFNAME.nonsense": "1" } },
    code: 7,
    says: ["net.ipv4.conf.IFNAME.nonsense"],
  },
  {
    when: "with a sysctl value that the kernel refuses",
    config: { sysctl: { "net.ipv4.conf.IFNAME.rp_filter": "many" } },
    code: 7,
    says: ["net.ipv4.conf.IFNAME.rp_filter", "many"],
  },
  {
    when: "with a source-rule priority out of range",
    config: { sourceRules: { priority: 40000 } },
    code: 7,
    says: ["priority", "40000", "32765"],
  },
  {
    when: "with the name of an interface that the pod has",
    rest: { ifname: "taken" },
    code: 102,
    says: ["taken", pod.path],
  },
  {
    when: "with a namespace that is gone",
    rest: { netns: "/run/netns/gone" },
    code: 8,
    says: ["CNI_NETNS", "/run/netns/gone"],
  },
  {
    when: "with a plain file as namespace",
    rest: { netns: plainFile },
    code: 8,
    says: ["CNI_NETNS", plainFile, "not a network namespace"],
  },
  { when: "with a directory as namespace", rest: { netns: world.dir }, code: 8, says: ["CNI_NETNS", world.dir] },
  {
    when: "with the host's own namespace",
    rest: { netns: world.host.path },
    code: 8,
    says: ["CNI_NETNS", "host's own"],
  },
  {
    when: "with a device-info file elsewhere",
    config: { runtimeConfig: { CNIDeviceInfoFile: "/tmp/x" } },
    code: 7,
    says: ["CNIDeviceInfoFile", "/tmp/x", world.deviceInfoDir],
  },
  {
    when: "with a device-info file that leaves its directory",
    config: { runtimeConfig: { CNIDeviceInfoFile: `${world.deviceInfoDir}/../x` } },
    code: 7,
    says: ["CNIDeviceInfoFile", world.deviceInfoDir],
  },
  {
    when: "with an IPAM plugin that is not there",
    config: { ipam: { type: "nowhere" } },
    code: 100,
    says: ["nowhere", world.cniBin],
  },
  {
    when: "with an IPAM type that is a path",
    config: { ipam: { type: "../bin/fake-ipam" } },
    code: 7,
    says: ["../bin/fake-ipam"],
  },
];

for (const via of WAYS) {
  for (const { when, config, rest, code, says } of ROWS)
    t.test(`ADD ${when} is error ${code} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const { exit, json } = await world.call(via, "ADD", world.attachment(pod, config, rest));
        t.equal(exit, 1);
        t.equal(json?.["code"], code);
        for (const word of says) t.match(json?.["msg"], word);
      }),
    );
}
