import t from "tap";
import { parseVfs, setVf, type VfState } from "../../kernel/vf.ts";
import { hex, sent } from "./support/captures.ts";
import { bodyOf, guest, last } from "./support/guest.ts";

/** The captured PF. */
const PF = 3;
const TAG_8021AD = 0x88a8;

/** One VF in `ip -j -d link`. */
interface IpVf {
  readonly vf: number;
  readonly address: string;
  readonly vlan_list: readonly { readonly vlan?: number; readonly qos?: number }[];
  readonly rate: { readonly min_tx: number; readonly max_tx: number };
  readonly spoofchk: boolean;
  readonly trust: boolean;
  readonly link_state: VfState["linkState"];
}

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

t.test("setVf() of one rate leaves the other without limit", async (t) => {
  const rate = (state: Partial<VfState>) => hex(setVf(PF, 1, state).body).slice(-24);
  t.equal(rate({ maxTxRate: 100 }), `01000000${"00000000"}${"64000000"}`);
  t.equal(rate({ minTxRate: 10 }), `01000000${"0a000000"}${"00000000"}`);
});

t.test("parseVfs() reads of a PF with two VFs what ip(8) reads", async (t) => {
  const [ip] = guest.vfs.printed as [{ vfinfo_list: IpVf[] }];
  t.ok(
    ip.vfinfo_list[0]?.vlan_list[0]?.qos && ip.vfinfo_list[0].trust && ip.vfinfo_list[1]?.spoofchk,
    "the capture has what is to be read",
  );
  const want = ip.vfinfo_list.map((vf): [number, VfState] => [
    vf.vf,
    {
      mac: vf.address,
      vlan: vf.vlan_list[0]?.vlan ?? 0,
      qos: vf.vlan_list[0]?.qos ?? 0,
      proto: 0x8100,
      minTxRate: vf.rate.min_tx,
      maxTxRate: vf.rate.max_tx,
      spoofchk: vf.spoofchk,
      trust: vf.trust,
      linkState: vf.link_state,
    },
  ]);
  t.same([...parseVfs(bodyOf(last(guest.vfs, "user")))], want);
});

t.test("parseVfs() finds none where they were not asked for", async (t) => {
  t.equal(parseVfs(bodyOf(last(guest.vf, "user"))).size, 0);
});

t.test("parseVfs() refuses a VF struct of another size", async (t) => {
  const body = bodyOf(last(guest.vfs, "user")).toString("hex");
  const rate = "10000600" + "00000000";
  t.ok(body.includes(rate));
  // The same bytes as two attributes: a rate of 8 bytes, and an unknown one.
  const broken = body.replace(`${rate}0000000064000000`, `0c000600${"00000000"}00000000${"0400ff00"}`);
  t.not(broken, body);
  t.throws(() => parseVfs(Buffer.from(broken, "hex")), /cannot read ifla_vf_rate: it has 8 bytes, want 12/);
});

t.test("parseVfs() takes what a driver does not have (-1) for off", async (t) => {
  const whole = bodyOf(last(guest.vfs, "user"));
  const at = whole.indexOf(Buffer.from("0c000900", "hex")); // the first VF's trust: length, type; then VF and setting
  const [first] = [...parseVfs(whole)];
  t.match(first, [0, { trust: true }], "as captured");
  whole.writeInt32LE(-1, at + 8);
  t.match([...parseVfs(whole)][0], [0, { trust: false }]);
});
