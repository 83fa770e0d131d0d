import t from "tap";
import { readConfig } from "../../cni/config.ts";
import { readRequest } from "../../cni/protocol/request.ts";
import { railCalls } from "../../cni/rail-calls.ts";

const VFS = ["0000:18:02.0", "0000:3b:02.0"];
const RAILS = [{ rail: "ens1f0np0" }, { rail: "ens2f0np0" }];

function calls(config: object, { verb = "ADD", args = "", name = "railnet-sriov" } = {}) {
  const stdin = JSON.stringify({ cniVersion: "1.1.0", name: "rails", type: "railnet-sriov", ...config });
  const env = { CNI_COMMAND: verb, CNI_CONTAINERID: "c1", CNI_NETNS: "/run/netns/c1", CNI_IFNAME: "net1", CNI_PATH: "/bin" }; // biome-ignore format: one row
  return railCalls(readRequest({ name, env: { ...env, ...(args && { CNI_ARGS: args }) }, stdin }));
}

const set = (config: object, options?: Parameters<typeof calls>[1]) =>
  calls({ deviceID: VFS.join(), rails: RAILS, ...config }, options);

t.test("railCalls() of a network of one rail is that call", async (t) => {
  const [one, ...others] = calls({ deviceID: VFS[0] });
  t.same(others, []);
  t.match(one, { ifname: "net1", set: undefined });
});

t.test("railCalls() of several rails is a call for each, as if each had a network of its own", async (t) => {
  const all = set({
    mtu: 9000,
    VLAN: 5,
    ipam: { type: "railnet-ipam", same_index: true, Range: "10.9.0.0/24" },
    rails: [
      { rail: "ens1f0np0", ipam: { range: "192.168.0.0/24" } },
      { name: "left", vlan: 7, mtu: 1500, ipam: { range: "192.168.1.0/24" } },
    ],
    runtimeConfig: { deviceID: VFS.join(), CNIDeviceInfoFile: "/x" },
  });
  t.same(
    all.map(({ ifname }) => ifname),
    ["rail0", "left"],
  );
  for (const { set, request } of all) t.same(set, { via: "net1", rails: ["rail0", "left"] }, request.stdin);
  t.same(
    all.map((one) => readConfig(one)).map(({ deviceID, mtu, rail, vf, deviceInfoFile }) => ({ deviceID, mtu, rail, vlan: vf.vlan, deviceInfoFile })),
    [
      { deviceID: VFS[0], mtu: 9000, rail: "ens1f0np0", vlan: 5, deviceInfoFile: undefined },
      { deviceID: VFS[1], mtu: 1500, rail: undefined, vlan: 7, deviceInfoFile: undefined },
    ],
  ); // biome-ignore format: a table
  t.same(
    all.map(({ config }) => config.ipam),
    [
      { type: "railnet-ipam", same_index: true, range: "192.168.0.0/24" },
      { type: "railnet-ipam", same_index: true, range: "192.168.1.0/24" },
    ],
  );
  const read = readRequest(all[1]!.request);
  t.same({ ...read.config, name: undefined }, { ...all[1]!.config, name: undefined }, "its text says the same");
  t.equal(read.ifname, "left");
});

t.test("railCalls() names interfaces by a template", async (t) => {
  t.same(
    set({ interface: "ib{n}" }).map(({ ifname }) => ifname),
    ["ib0", "ib1"],
  );
});

const IPAM = [{ ipam: { type: "railnet-ipam", range: "10.0.0.5-10.0.0.9/24" } }, { ipam: { type: "railnet-ipam", ipRanges: [{ range: "10.0.1.0/24" }, { range: "fd00::/64" }] } }]; // biome-ignore format: one row

t.test("railCalls() gives each address that a pod asks for to the rail that has it", async (t) => {
  const ips = ["10.0.1.7", "fd00::7/64", "10.0.0.200/24"];
  const args = `IgnoreUnknown=1;IP=${ips};K8S_POD_NAME=a;IP=${ips}`;
  const all = set({ rails: IPAM, runtimeConfig: { ips }, args: { cni: { ips, other: 1 } } }, { args });
  t.same(
    all.map(({ config }) => config.runtimeConfig?.["ips"]),
    [[ips[2]], [ips[0], ips[1]]],
  );
  t.same(
    all.map(({ config }) => config.args?.cni),
    [
      { ips: [ips[2]], other: 1 },
      { ips: [ips[0], ips[1]], other: 1 },
    ],
  );
  t.same(all.map((one) => one.args), [{ IgnoreUnknown: "1", K8S_POD_NAME: "a", IP: ips[2] }, { IgnoreUnknown: "1", K8S_POD_NAME: "a", IP: `${ips[0]},${ips[1]}` }]); // biome-ignore format: one row
  t.equal(all[0]!.request.env["CNI_ARGS"], `IgnoreUnknown=1;K8S_POD_NAME=a;IP=${ips[2]}`);
});

for (const { when, config, args, says } of [
  { when: "no list", config: { rails: {} }, says: 'rails {}: want a list of 1 to 64 rails such as [{"rail": "ens1f0np0"}]' },
  { when: "an empty list", config: { rails: [] }, says: "rails []: want a list of 1 to 64" },
  { when: "a rail that is no object", config: { rails: ["ens1f0np0"] }, says: 'rails[0] "ens1f0np0": want an object such as {"rail": "ens1f0np0"}' },
  { when: "a key that no rail has", config: { rails: [{}, { vlanId: 5 }] }, says: "rails[1].vlanId 5: an entry may contain name, rail, mtu," },
  { when: "a device of a rail's own", config: { rails: [{}, { deviceID: VFS[1] }] }, says: `rails[1].deviceID "${VFS[1]}": an entry may contain name, rail, mtu,` },
  { when: "ipam that is no object", config: { rails: [{ ipam: "static" }, {}] }, says: 'rails[0].ipam "static": want an object' },
  { when: "a name twice", config: { rails: [{ name: "rail1" }, {}] }, says: 'rails[1].name "rail1": another rail has this name' },
  { when: "a name that is too long", config: { rails: [{ name: "a-name-of-16-byte" }, {}] }, says: 'rails[0].name "a-name-of-16-byte": it is longer than 15 bytes' },
  { when: "a name with a slash", config: { rails: [{}, { name: "a/b" }] }, says: 'rails[1].name "a/b": it has a slash, colon or white space' },
  { when: "a name that is none", config: { rails: [{}, { name: 5 }] }, says: "rails[1].name 5: want the name of an interface" },
  { when: "a template without a place", config: { interface: "rail" }, says: 'interface "rail": want a template of interface names such as "rail{n}"' },
  { when: "a template that is too long", config: { interface: "a-name-of-16-b{n}x" }, says: 'interface "a-name-of-16-b0x": it is longer' },
  { when: "fewer VFs", config: { deviceID: VFS[0] }, says: `deviceID "${VFS[0]}": this is one VF, but the network has 2 rails; annotate it with a resource whose devices are one VF of each rail` },
  { when: "more VFs", config: { deviceID: [...VFS, "0000:5e:02.0"].join() }, says: "these are 3 VFs, but the network has 2 rails" },
  { when: "a VF twice", config: { deviceID: `${VFS[0]},${VFS[0]}` }, says: `it contains ${VFS[0]} twice` },
  { when: "no VF", config: { deviceID: "" }, says: "deviceID, the VF's PCI address, is missing" },
  { when: "a MAC", config: { mac: "02:00:00:00:00:01" }, says: 'mac "02:00:00:00:00:01": a network of several rails has several links, which cannot share it; leave it out' },
  { when: "a MAC of the pod's", config: { runtimeConfig: { mac: "02:00:00:00:00:01" } }, says: 'runtimeConfig.mac "02:00:00:00:00:01"' },
  { when: "a MAC in CNI_ARGS", config: {}, args: "MAC=02:00:00:00:00:01", says: "CNI_ARGS MAC" },
  { when: "a MAC in args", config: { args: { cni: { mac: "02:00:00:00:00:01" } } }, says: "args.cni.mac" },
  { when: "one table for all", config: { sourceRules: { table: 100 } }, says: "sourceRules.table 100: several rails would share it" },
  { when: "an address of no rail's", config: { rails: IPAM, runtimeConfig: { ips: ["10.0.0.7", "10.0.2.7"] } }, says: 'runtimeConfig.ips[1] "10.0.2.7": it is in no rail\'s range (rail0: 10.0.0.9/24; rail1: 10.0.1.0/24, fd00::/64)' },
  { when: "what is no address", config: { rails: IPAM, runtimeConfig: { ips: [7] } }, says: "runtimeConfig.ips[0] 7: it is in no rail's range" },
]) // biome-ignore format: a table
  t.test(`railCalls() refuses ${when}`, async (t) => {
    t.throws(() => set(config, { ...(args && { args }) }), { code: 7, message: says }, says);
  });

t.test("a set of VFs for a network of one rail is refused by name", async (t) => {
  t.throws(() => readConfig(calls({ deviceID: VFS.join() })[0]!), { code: 7, message: `cannot use deviceID "${VFS.join()}": it is a set of VFs, one of each rail; the network needs "rails", one entry for each` }); // biome-ignore format: one row
});

t.test("a DEL goes on with whatever can be read", async (t) => {
  t.same(
    set({ deviceID: "", mac: "02:00:00:00:00:01" }, { verb: "DEL" }).map(({ ifname }) => ifname),
    ["rail0", "rail1"],
  );
  t.same(
    set({ rails: "odd" }, { verb: "DEL" }).map(({ ifname }) => ifname),
    ["net1"],
  );
});

t.test("in the place of sriov-cni, which has no rails, they are ignored", async (t) => {
  t.same(
    set({}, { name: "sriov" }).map(({ ifname }) => ifname),
    ["net1"],
  );
});
