import t from "tap";
import { ignoredKeys, readConfig } from "../../cni/config.ts";
import type { CniError } from "../../cni/protocol/error.ts";
import type { Call } from "../../cni/protocol/request.ts";

const DEVICE = "0000:af:06.0";

function call(config: object, args: Record<string, string> = {}, name = "railnet-sriov"): Call {
  const whole = { cniVersion: "1.1.0", name: "net", type: "railnet-sriov", ...config };
  return {
    verb: "ADD",
    containerId: "c1",
    netns: "/run/netns/c1",
    ifname: "net1",
    path: [],
    args,
    config: whole,
    request: { name, env: {}, stdin: JSON.stringify(whole) },
  };
}

const read = (config: object, args?: Record<string, string>) => readConfig(call({ deviceID: DEVICE, ...config }, args));

for (const { when, config, want } of [
  { when: "only a device", config: {}, want: {} },
  { when: "vlan", config: { vlan: 100 }, want: { vlan: 100, qos: 0, proto: 0x8100 } },
  { when: "vlan 802.1q", config: { vlan: 100, vlanProto: "802.1q" }, want: { vlan: 100, qos: 0, proto: 0x8100 } },
  { when: "vlan 802.1AD", config: { vlan: 100, vlanProto: "802.1AD" }, want: { vlan: 100, qos: 0, proto: 0x88a8 } },
  {
    when: "vlan 0 with its defaults",
    config: { vlan: 0, vlanQoS: 0, vlanProto: "802.1q" },
    want: { vlan: 0, qos: 0, proto: 0x8100 },
  },
  { when: "min_tx_rate alone", config: { min_tx_rate: 5 }, want: { minTxRate: 5, maxTxRate: 0 } },
  { when: "both rates", config: { min_tx_rate: 100, max_tx_rate: 1000 }, want: { minTxRate: 100, maxTxRate: 1000 } },
  { when: "switches", config: { spoofchk: "on", trust: "off" }, want: { spoofchk: true, trust: false } },
  { when: "another word for off, as sriov-cni", config: { spoofchk: "no" }, want: { spoofchk: false } },
  { when: "an empty switch", config: { spoofchk: "" }, want: {} },
  { when: "link_state", config: { link_state: "disable" }, want: { linkState: "disable" } },
  {
    when: "keys in any case, as sriov-cni",
    config: {
      Vlan: 100,
      vlanQos: 3,
      VLANPROTO: "802.1ad",
      spoofChk: "on",
      Trust: "off",
      Link_State: "enable",
      MAX_TX_RATE: 7,
    },
    want: {
      vlan: 100,
      qos: 3,
      proto: 0x88a8,
      spoofchk: true,
      trust: false,
      linkState: "enable",
      minTxRate: 0,
      maxTxRate: 7,
    },
  },
  { when: "the last of two spellings", config: { vlan: 5, VLAN: 6 }, want: { vlan: 6, qos: 0, proto: 0x8100 } },
  {
    when: "null in another spelling as nothing",
    config: { vlan: 5, VLAN: null },
    want: { vlan: 5, qos: 0, proto: 0x8100 },
  },
  { when: "booleans of switches", config: { spoofchk: false, trust: true }, want: { spoofchk: false, trust: true } },
  { when: "null as absent", config: { vlan: null, trust: null, max_tx_rate: null }, want: {} },
])
  t.test(`readConfig() reads the VF's settings: ${when}`, async (t) => t.same(read(config).vf, want));

for (const { config, says } of [
  { config: { vlan: 6000 }, says: /vlan 6000: want a whole number from 0 to 4094/ },
  { config: { vlan: "5" }, says: /vlan "5": want a whole number/ },
  { config: { vlan: 0, vlanQoS: 1 }, says: /vlanQoS 1: vlan 0 is untagged/ },
  { config: { vlan: 0, vlanProto: "802.1ad" }, says: /vlanProto "802.1ad": 802.1ad needs vlan 1 to 4094/ },
  { config: { vlan: 100, vlanQoS: 8 }, says: /vlanQoS 8: want a whole number from 0 to 7/ },
  { config: { vlan: 100, vlanProto: "802.1x" }, says: /vlanProto "802.1x": want 802.1q, 802.1ad/ },
  { config: { vlanQoS: 1 }, says: /vlanQoS 1: it needs vlan/ },
  { config: { vlanProto: "802.1ad" }, says: /vlanProto "802.1ad": it needs vlan/ },
  { config: { link_state: "foo" }, says: /link_state "foo": want auto, enable, disable/ },
  { config: { min_tx_rate: 10, max_tx_rate: 5 }, says: /min_tx_rate 10: it is above max_tx_rate 5/ },
  { config: { max_tx_rate: -1 }, says: /max_tx_rate -1/ },
  { config: { mac: "not-a-mac" }, says: /mac "not-a-mac": want six bytes/ },
  { config: { mac: "01:00:00:00:00:01" }, says: /multicast/ },
  { config: { mac: "00:00:00:00:00:00" }, says: /all zero/ },
  { config: { mtu: 10 }, says: /mtu 10: want a whole number from 68 to 65535/ },
  { config: { rail: -1 }, says: /rail -1: want a PF name/ },
  { config: { rdma: "yes" }, says: /rdma "yes": want auto, required, off/ },
  { config: { sysctl: { "kernel.core_pattern": "|/x" } }, says: /sysctl "kernel.core_pattern": only keys below net\./ },
  { config: { sysctl: { "net/../kernel/core_pattern": "x" } }, says: /only keys below net\./ },
  { config: { sysctl: { "net.ipv4.conf.IFNAME.arp_filter": 1 } }, says: /want a string/ },
  { config: { sourceRules: { table: 0 } }, says: /table 0: want a whole number from 1/ },
  { config: { duplicateAddressProbe: "on" }, says: /duplicateAddressProbe "on": want true or false/ },
  { config: { deviceID: "eth0" }, says: /deviceID "eth0": want a PCI address/ },
  { config: { deviceID: "../../etc" }, says: /want a PCI address/ },
  { config: { pciBusID: "0000:af:06.1" }, says: /deviceID "0000:af:06.0": pciBusID says "0000:af:06.1"/ },
])
  t.test(`readConfig() refuses ${JSON.stringify(config)} with code 7`, async (t) => {
    const error = t.throws(() => read(config), { message: says }) as unknown as CniError;
    t.equal(error.code, 7);
  });

t.test("readConfig() says how to get a deviceID when there is none", async (t) => {
  t.throws(() => readConfig(call({})), { message: /k8s\.v1\.cni\.cncf\.io\/resourceName/ });
});

for (const { config, want } of [
  { config: { rdma: true }, want: { rdma: "required" } },
  { config: { rdma: false }, want: { rdma: "off" } },
  { config: { rdma: "" }, want: { rdma: "auto" } },
  { config: { RDMA: "required" }, want: { rdma: "required" } },
  { config: { rail: "" }, want: { rail: undefined } },
  { config: { Rail: "ens1" }, want: { rail: "ens1" } },
  { config: { mtu: "" }, want: { mtu: undefined } },
  { config: { MTU: 9000 }, want: { mtu: 9000 } },
  { config: { sysctl: "" }, want: { sysctl: {} } },
  { config: { sourcerules: { Table: 7 } }, want: { sourceRules: { table: 7, priority: 1000 } } },
  { config: { sourceRules: "" }, want: { sourceRules: undefined } },
  { config: { duplicateAddressProbe: "" }, want: { duplicateAddressProbe: false } },
])
  t.test(`readConfig() takes ${JSON.stringify(config)} as it is meant`, async (t) => void t.match(read(config), want));

const NOT_SRIOV = { rail: "nowhere", mtu: 5, rdma: true, sysctl: 1, sourceRules: "x", duplicateAddressProbe: "on" };
t.test("readConfig() called as sriov has sriov-cni's keys alone, and ignoredKeys() names the others", async (t) => {
  const given = call({ deviceID: DEVICE, MTU: 9000, ...NOT_SRIOV, vlan: 5 }, {}, "sriov");
  t.match(readConfig(given), { vf: { vlan: 5 }, rdma: "auto", sysctl: {}, duplicateAddressProbe: false });
  const { rail, mtu, sourceRules } = readConfig(given);
  t.same([rail, mtu, sourceRules], [undefined, undefined, undefined]);
  t.same(ignoredKeys(given).sort(), Object.keys(NOT_SRIOV).sort());
  t.same(ignoredKeys(call(NOT_SRIOV)), [], "under our own name they count");
  t.throws(() => readConfig(call({ deviceID: DEVICE, trust: true }, {}, "sriov")), { message: /trust true/ });
  const mac = { deviceID: DEVICE, args: { cni: { mac: "02:00:00:00:00:09" } } };
  t.equal(readConfig(call(mac, {}, "sriov")).mac, undefined, "args.cni.mac is none of its keys");
});

for (const type of ["railnet-sriov", "sriov", "rdma"])
  t.test(`readConfig() refuses ${type} as ipam.type: it would ask itself`, async (t) => {
    t.throws(() => read({ ipam: { type } }), { code: 7, message: /ipam\.type/ });
  });

for (const { when, config, args, want } of [
  {
    when: "runtimeConfig over all",
    config: {
      mac: "02:00:00:00:00:03",
      args: { cni: { mac: "02:00:00:00:00:06" } },
      runtimeConfig: { mac: "02:00:00:00:00:05" },
    },
    args: { MAC: "02:00:00:00:00:04" },
    want: "02:00:00:00:00:05",
  },
  {
    when: "CNI_ARGS over mac",
    config: { mac: "02:00:00:00:00:03" },
    args: { MAC: "02:00:00:00:00:04" },
    want: "02:00:00:00:00:04",
  },
  { when: "mac in capitals", config: { mac: "60:00:00:00:00:E1" }, args: {}, want: "60:00:00:00:00:e1" },
  { when: "mac with dashes", config: { mac: "60-00-00-00-00-E1" }, args: {}, want: "60:00:00:00:00:e1" },
])
  t.test(`readConfig() takes the MAC: ${when}`, async (t) => t.equal(read(config, args).mac, want));

t.test("readConfig() lets runtimeConfig.deviceID win", async (t) => {
  t.equal(read({ runtimeConfig: { deviceID: "0000:AF:06.1" } }).deviceID, "0000:af:06.1");
});
