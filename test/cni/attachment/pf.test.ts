import t from "tap";
import { setAdminMac, setLinkMac } from "../../../cni/attachment/mac.ts";
import { configurePf, snapshot } from "../../../cni/attachment/pf.ts";
import { type AttachConfig, readConfig } from "../../../cni/config.ts";
import type { Host } from "../../../cni/host.ts";
import { readRequest } from "../../../cni/protocol/request.ts";
import { Nic } from "./support/nic.ts";

const MAC = "02:00:00:00:00:77";
const AT = { pfIndex: 2, vf: 0 };
const DEVICE = { pci: "0000:af:06.0", pf: { name: "pf", pci: "0000:af:00.1", vf: 0 }, netdev: "vf" };
const NO_RDMA = { devices: [], move: false };

function read(config: object): AttachConfig {
  const stdin = JSON.stringify({
    cniVersion: "1.0.0",
    name: "net",
    type: "railnet-sriov",
    deviceID: DEVICE.pci,
    ...config,
  });
  const env = { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c", CNI_NETNS: "/n", CNI_IFNAME: "net1", CNI_PATH: "/x" };
  return readConfig(readRequest({ name: "railnet-sriov", env, stdin }));
}

/** Time that only waiting makes pass. */
function newClock() {
  let now = 0;
  return {
    nowMs: () => now,
    sleep: async (ms: number) => {
      now += ms;
    },
  };
}

const hostWith = (nic: Nic) => ({ rtnl: nic, clock: newClock(), paths: { sysfs: "/none" } }) as unknown as Host;

async function configure(nic: Nic, config: object): Promise<void> {
  const host = hostWith(nic);
  const wanted = read(config);
  await configurePf(DEVICE, wanted, await snapshot(DEVICE, wanted, NO_RDMA, host), host);
}

t.test("configurePf() with nothing but a device asks the PF for nothing", async (t) => {
  const nic = new Nic();
  await configure(nic, {});
  t.same(nic.asked, []);
});

t.test(
  "configurePf() with everything sets the link's MAC, then the administrative one, then the rest in one request",
  async (t) => {
    const nic = new Nic();
    await configure(nic, {
      vlan: 100,
      vlanQoS: 4,
      vlanProto: "802.1ad",
      mac: MAC,
      min_tx_rate: 100,
      max_tx_rate: 1000,
      spoofchk: "on",
      trust: "on",
      link_state: "enable",
    });
    t.same(nic.asked, [
      `set the MAC of link 7 to ${MAC}`,
      `set the MAC of VF 0 to ${MAC}`,
      "configure VF 0 of pf: vlan 100, qos 4, proto 0x88a8, minTxRate 100, maxTxRate 1000, spoofchk true, trust true, linkState enable",
    ]);
    t.same(nic.vf, {
      mac: MAC,
      vlan: 100,
      qos: 4,
      proto: 0x88a8,
      minTxRate: 100,
      maxTxRate: 1000,
      spoofchk: true,
      trust: true,
      linkState: "enable",
    });
    t.equal(nic.mac, MAC);
  },
);

for (const answer of ["EBUSY", "ok"] as const) {
  const how = answer === "ok" ? "says yes and applies nothing" : "is busy";
  t.test(`setLinkMac() tries again while the driver ${how}`, async (t) => {
    const nic = new Nic({ late: 3, answer });
    await setLinkMac(nic, 7, MAC, { clock: newClock() });
    t.equal(nic.mac, MAC);
    t.equal(nic.asked.length, 4);
  });
  t.test(`setAdminMac() tries again while the driver ${how}`, async (t) => {
    const nic = new Nic({ late: 3, answer });
    await setAdminMac(nic, AT, MAC, { clock: newClock() });
    t.equal(nic.vf.mac, MAC);
  });
  t.test(`setLinkMac() gives up after 8 s when the driver ${how}`, async (t) => {
    const nic = new Nic({ late: 1000, answer });
    const clock = newClock();
    await t.rejects(setLinkMac(nic, 7, MAC, { clock }), {
      message: answer === "ok" ? /the driver still shows 02:00:00:00:00:01/ : /EBUSY/,
    });
    t.ok(clock.nowMs() > 6_000 && clock.nowMs() <= 8_000, `${clock.nowMs()} ms`);
  });
}

t.test(
  "setLinkMac() gives a VF free that an administrator's MAC pins, says so before, and lends no trust",
  async (t) => {
    const nic = new Nic({ wantsTrust: true });
    nic.vf = { ...nic.vf, mac: "02:00:00:00:00:01" };
    const said: string[] = [];
    await setLinkMac(nic, 7, MAC, { clock: newClock() }, AT, () => said.push(nic.vf.mac));
    t.equal(nic.mac, MAC);
    t.same(said, ["02:00:00:00:00:01"]);
    t.same(
      nic.asked.filter((what) => /trust/.test(what)),
      [],
    );
  },
);

t.test("setLinkMac() passes the refusal on where there is no PF to give it free", async (t) => {
  const nic = new Nic({ wantsTrust: true });
  nic.vf = { ...nic.vf, mac: "02:00:00:00:00:01" };
  await t.rejects(setLinkMac(nic, 7, MAC, { clock: newClock() }), { code: "EADDRNOTAVAIL" });
});

t.test("setLinkMac() asks once more when what was busy may have come true", async (t) => {
  const nic = new Nic({ late: 1, answer: "EBUSY", comesTrue: true });
  await setLinkMac(nic, 7, MAC, { clock: newClock() });
  t.equal(nic.asked.length, 1, "it looks before it sets again");
});

t.test("snapshot() refuses settings of a VF that the PF does not show", async (t) => {
  const host = hostWith(new Nic());
  const device = { ...DEVICE, pf: { ...DEVICE.pf, vf: 9 } };
  await t.rejects(snapshot(device, read({ vlan: 5 }), NO_RDMA, host), {
    code: 101,
    message: /cannot set vlan, qos, proto of 0000:af:06.0: PF pf shows no VF 9/,
  });
});
