import t from "tap";
import { Attempts, narrow } from "../../../cni/attachment/owed.ts";
import type { Attachment, Owed } from "../../../cni/attachment/record.ts";
import { restorePf } from "../../../cni/attachment/restore-pf.ts";
import type { Host } from "../../../cni/host.ts";
import { type Message, NetlinkError } from "../../../kernel/netlink/message.ts";
import { Nic } from "./support/nic.ts";

const WAS = {
  mac: "02:00:00:00:00:01",
  vlan: 0,
  qos: 0,
  proto: 0x8100,
  minTxRate: 0,
  maxTxRate: 0,
  trust: false,
} as const;
const RECORD = {
  phase: "attached",
  addresses: { ips: [] },
  hasRules: true,
  deviceInfoFile: "/x",
  device: { pci: "0000:af:06.0", pf: { name: "pf", pci: "0000:af:00.1", vf: 0 } },
  original: {
    name: "vf",
    mac: "02:00:00:00:00:01",
    mtu: 1500,
    alias: "",
    altnames: [],
    up: false,
    vf: WAS,
    rdma: ["mlx5_4"],
    settings: { txqlen: 1000 },
  },
  applied: { vlan: 7, qos: 1, proto: 0x8100, maxTxRate: 100, minTxRate: 0, trust: true, mac: "02:00:00:00:00:aa" },
} as unknown as Attachment;

const because = (...parts: string[]): Owed[] => parts.map((part) => ({ part, why: "EINVAL" }));

for (const { parts, original, applied } of [
  { parts: ["mtu"], original: ["name", "mtu"], applied: [] },
  { parts: ["mac"], original: ["name", "mac", "vf"], applied: ["mac"] },
  { parts: ["PF minTxRate,maxTxRate"], original: ["vf"], applied: ["maxTxRate", "minTxRate"] },
  { parts: ["PF"], original: ["vf"], applied: ["vlan", "qos", "proto", "maxTxRate", "minTxRate", "trust"] },
  { parts: ["rdma", "state"], original: ["name", "rdma", "settings"], applied: [] },
  {
    parts: ["link"],
    original: ["name", "mac", "mtu", "alias", "altnames", "up", "vf", "settings"],
    applied: ["mac"],
  },
  { parts: ["a part of a later release"], original: Object.keys(RECORD.original), applied: [] },
])
  t.test(`narrow() keeps of a record what ${parts.join(" and ")} needs`, async (t) => {
    const left = narrow(RECORD, because(...parts));
    t.same(Object.keys(left.original).sort(), [...original].sort());
    t.same(Object.keys(left.applied).sort(), [...applied].sort());
    t.match(left, { phase: "claimed", owed: because(...parts), addresses: undefined, hasRules: undefined });
  });

/** A driver that refuses some of the PF's settings, as igb refuses a rate without carrier. */
class Refusing extends Nic {
  readonly #refused: RegExp;

  constructor(refused: RegExp) {
    super();
    this.#refused = refused;
  }

  override request(message: Message): Buffer | undefined {
    if (message.type === 19 && this.#refused.test(Buffer.from(message.body).toString("hex")))
      throw new NetlinkError(message.what, "EINVAL", "Invalid argument");
    return super.request(message);
  }
}

/** `struct nlattr` of IFLA_VF_RATE (6), 16 bytes. */
const RATE = /10000600/;

t.test("restorePf() sets what the driver takes, and only what it refuses is owed", async (t) => {
  const nic = new Refusing(RATE);
  nic.vf = { ...nic.vf, vlan: 7, qos: 1, maxTxRate: 100, trust: true };
  const clock = { nowMs: () => 0, sleep: async () => {} };
  const host = { rtnl: nic, clock, paths: { sysfs: "/nowhere" }, log: { warn: () => {} } } as unknown as Host;
  const attempts = new Attempts();
  await restorePf(RECORD, host, attempts);
  t.match(attempts.owed, [{ part: "PF minTxRate,maxTxRate", why: /Invalid argument \(EINVAL\)/ }]);
  t.equal(attempts.owed.length, 1);
});
