import { canonicalIp } from "../../../../cni/protocol/ip.ts";
import type { CniRequest } from "../../../../cni/protocol/request.ts";
import type { Dns, Interface, IpConfig, Result, Route } from "../../../../cni/protocol/result.ts";
import { SUPPORTED_VERSIONS } from "../../../../cni/protocol/version.ts";
import * as fc from "../../../../lab/properties.ts";

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

const text = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.constantFrom("n", "net1", "c1", "1.1.0", "0.4.0", "0.2.0", "a/b"),
);
/** Configurations that are nearly right, with any JSON in places that are looked at. */
const config = fc.record(
  {
    cniVersion: fc.oneof(fc.constantFrom(...SUPPORTED_VERSIONS), fc.jsonValue()),
    name: fc.oneof(fc.constant("n"), fc.jsonValue()),
    type: fc.oneof(text, fc.jsonValue()),
    ipam: fc.oneof(fc.record({ type: fc.oneof(text, fc.jsonValue()) }), fc.jsonValue()),
    dns: fc.jsonValue(),
    args: fc.jsonValue(),
    runtimeConfig: fc.jsonValue(),
    prevResult: fc.oneof(fc.record({ ips: fc.array(fc.record({ address: text })) }), fc.jsonValue()),
    "cni.dev/valid-attachments": fc.jsonValue(),
  },
  { requiredKeys: [] },
);
const stdin = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.json(),
  config.map((c) => JSON.stringify(c)),
);
const env = fc.record(
  {
    CNI_COMMAND: fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom("ADD", "CHECK", "DEL", "GC", "STATUS", "VERSION") },
      { weight: 1, arbitrary: text },
    ),
    CNI_CONTAINERID: fc.oneof(fc.constant("c1"), text),
    CNI_NETNS: text,
    CNI_IFNAME: fc.oneof(fc.constant("net1"), text),
    CNI_PATH: fc.oneof(fc.constant("/x"), text),
    CNI_ARGS: fc.oneof(fc.constantFrom("", "A=1", "A"), text),
  },
  { requiredKeys: [] },
) as fc.Arbitrary<Record<string, string>>;

/** Calls that are nearly right, and some that are nothing of the kind. */
export const request: fc.Arbitrary<CniRequest> = fc.record({ name: fc.constant("x"), env, stdin });
