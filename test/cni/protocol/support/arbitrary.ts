import fc from "fast-check";
import { canonicalIp } from "../../../../cni/protocol/ip.ts";
import type { Dns, Interface, IpConfig, Result, Route } from "../../../../cni/protocol/result.ts";

/** Addresses as the kernel prints them. */
export const ip: fc.Arbitrary<string> = fc
  .oneof(fc.ipV4(), fc.ipV6())
  .map(canonicalIp)
  .filter((one) => one !== undefined);

export const cidr: fc.Arbitrary<string> = ip.chain((address) =>
  fc.integer({ min: 0, max: address.includes(":") ? 128 : 32 }).map((bits) => `${address}/${bits}`),
);

const word = fc.string({ minLength: 1, maxLength: 20 });
const words = fc.array(word, { minLength: 1, maxLength: 3 });
const count = fc.integer({ min: 1, max: 2 ** 31 });

export const dns: fc.Arbitrary<Dns> = fc.record(
  { nameservers: words, domain: word, search: words, options: words },
  { requiredKeys: [] },
);
const link: fc.Arbitrary<Interface> = fc.record(
  { name: word, mac: word, mtu: count, sandbox: word, socketPath: word, pciID: word },
  { requiredKeys: ["name"] },
);
const address: fc.Arbitrary<IpConfig> = fc.record(
  { address: cidr, gateway: ip, interface: fc.nat(9) },
  { requiredKeys: ["address"] },
);
const route: fc.Arbitrary<Route> = fc.record(
  { dst: cidr, gw: ip, mtu: count, advmss: count, priority: count, table: fc.nat(), scope: fc.nat(255) },
  { requiredKeys: ["dst"] },
);

/** Any result in the internal form. */
export const result: fc.Arbitrary<Result> = fc.record({
  interfaces: fc.array(link, { maxLength: 3 }),
  ips: fc.array(address, { maxLength: 4 }),
  routes: fc.array(route, { maxLength: 4 }),
  dns,
});
