import type { Vf } from "../support/node.ts";
import type { Random } from "../support/random.ts";

/** Some of all settings that igb has, valid together. */
export function randomSettings(random: Random, { rail, index, pf }: Vf): Record<string, unknown> {
  const choices: Record<string, unknown>[] = [
    { vlan: 1 + random.below(4094), vlanQoS: random.below(8) },
    { vlan: 0, vlanQoS: 0 },
    { mac: `02:00:00:0${random.below(8)}:0${rail}:0${index}` },
    { mac: `02:00:00:0${random.below(8)}:0${rail}:0${index}`, trust: "on" },
    { trust: random.of(["on", "off"]) },
    { spoofchk: random.of(["on", "off"]) },
    { max_tx_rate: random.below(1000) },
    { mtu: 1280 + random.below(221) },
    { rail: random.of([rail, pf]) },
    { sysctl: { "net.ipv4.conf.IFNAME.log_martians": "1" } },
    { sourceRules: true },
    {
      ipam: {
        type: "host-local",
        ranges: [[{ subnet: `10.${rail}.0.0/24` }]],
        routes: [{ dst: `10.1${rail}.${index}.0/24` }],
      },
    },
    { ipam: { type: "host-local", ranges: [[{ subnet: `10.${rail}.0.0/24` }], [{ subnet: `fd00:${rail}::/64` }]] } },
  ];
  return Object.assign({}, ...choices.filter(() => random.oneIn(3)));
}

/** What ADD refuses, and the code it does so with; `isLate`: only after it has seen whether somebody has the VF. */
export function badSettings(
  random: Random,
  { rail }: Vf,
): { settings: Record<string, unknown>; code: number; isLate: boolean } {
  return random.of([
    { settings: { vlan: 5000 }, code: 7, isLate: false },
    { settings: { vlanQoS: 3 }, code: 7, isLate: false },
    { settings: { mac: "01:00:00:00:00:01" }, code: 7, isLate: false },
    { settings: { mtu: 9000 }, code: 7, isLate: true },
    { settings: { rail: (rail + 1) % 4 }, code: 103, isLate: true },
    { settings: { deviceID: "0000:ff:00.0" }, code: 101, isLate: false },
  ]);
}
