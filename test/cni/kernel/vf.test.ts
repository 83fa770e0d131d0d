import t from "tap";
import { setVf, type VfState } from "../../../cni/kernel/vf.ts";
import { hex, sent } from "./support/captures.ts";

/** The captured PF. */
const PF = 3;
const TAG_8021AD = 0x88a8;

for (const { command, state } of [
  { command: "mac 02:11:22:33:44:55", state: { mac: "02:11:22:33:44:55" } },
  { command: "vlan 100 qos 4 proto 802.1ad", state: { vlan: 100, qos: 4, proto: TAG_8021AD } },
  { command: "max_tx_rate 100 min_tx_rate 10", state: { minTxRate: 10, maxTxRate: 100 } },
  { command: "spoofchk on", state: { spoofchk: true } },
  { command: "spoofchk off", state: { spoofchk: false } },
  { command: "state auto", state: { linkState: "auto" } },
  { command: "state enable", state: { linkState: "enable" } },
  { command: "state disable", state: { linkState: "disable" } },
  { command: "trust on", state: { trust: true } },
  { command: "trust off", state: { trust: false } },
] as { command: string; state: Partial<VfState> }[])
  t.test(`setVf() sends what \`ip link set PF vf 1 ${command}\` sends`, async (t) => {
    t.equal(hex(setVf(PF, 1, state).body), sent(`ip link set rail0 vf 1 ${command}`).body);
  });

t.test("setVf() sends all settings of a VF in one request, as ip(8) does", async (t) => {
  const command =
    "mac 02:11:22:33:44:55 vlan 7 qos 1 proto 802.1ad max_tx_rate 200 min_tx_rate 20 spoofchk on state enable trust on";
  const state: VfState = {
    mac: "02:11:22:33:44:55",
    vlan: 7,
    qos: 1,
    proto: TAG_8021AD,
    minTxRate: 20,
    maxTxRate: 200,
    spoofchk: true,
    trust: true,
    linkState: "enable",
  };
  t.equal(hex(setVf(PF, 3, state).body), sent(`ip link set rail0 vf 3 ${command}`).body);
});

// For 802.1Q ip(8) uses the older IFLA_VF_VLAN; we use the list for both, as sriov-cni does.
for (const { when, state, tail } of [
  { when: "802.1Q unless said otherwise", state: { vlan: 100, qos: 4 }, tail: "010000006400000004000000" + "81000000" },
  { when: "VLAN 0 to take the tag away", state: { vlan: 0 }, tail: "010000000000000000000000" + "81000000" },
])
  t.test(`setVf() sets ${when}`, async (t) => {
    const head = "00000000030000000000000000000000200016001c00010018000c0014000100";
    t.equal(hex(setVf(PF, 1, state).body), head + tail);
  });
