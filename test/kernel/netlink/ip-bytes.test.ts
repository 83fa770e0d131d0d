import { isIP } from "node:net";
import t from "tap";
import { ipBytes, ipText, isIPv6, networkOf, splitCidr } from "../../../kernel/netlink/ip-bytes.ts";
import * as fc from "../../../lab/properties.ts";

/** Other implementations: the URL parser writes the canonical text, and node:net knows what is an address. */
const canonical = (ip: string) => new URL(`http://${isIP(ip) === 6 ? `[${ip}]` : ip}/`).hostname.replace(/[[\]]/g, "");

t.test("ipText() writes the canonical text of what ipBytes() reads", async () => {
  fc.assert(
    fc.property(fc.oneof(fc.ipV4(), fc.ipV6()), (ip) => {
      const bytes = ipBytes(ip);
      return (
        bytes.length === (isIP(ip) === 6 ? 16 : 4) && ipText(bytes) === canonical(ip) && isIPv6(ip) === (isIP(ip) === 6)
      );
    }),
    { numRuns: 2000 },
  );
});

t.test("ipBytes() takes what node:net takes, and nothing else", async () => {
  const scraps = fc.array(
    fc.constantFrom("0", "1", "00", "255", "256", "fe80", "FFFF", "12345", "g", ".", ":", "::", " ", "1.2.3.4"),
    {
      maxLength: 12,
    },
  );
  const accepts = (ip: string) => {
    try {
      return ipBytes(ip).length > 0;
    } catch {
      return false;
    }
  };
  fc.assert(
    fc.property(
      scraps.map((parts) => parts.join("")),
      (ip) => accepts(ip) === isIP(ip) > 0,
    ),
    { numRuns: 20_000 },
  );
});

for (const ip of [
  "",
  "10.0.0",
  "10.0.0.5.6",
  "010.0.0.1",
  "1:2:3:4:5:6:7",
  "1::2::3",
  "::1::",
  ":1",
  "fe80::1%eth0",
  "::1.2.3",
  "10.0.0.5/24",
])
  t.test(`ipBytes() refuses ${JSON.stringify(ip)}`, async (t) => {
    t.throws(() => ipBytes(ip), { message: `cannot use ${JSON.stringify(ip)}: it is not an IP address` });
  });

for (const [ip, want] of [
  ["::", "::"],
  ["0:0:0:1:0:0:0:0", "0:0:0:1::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::ffff:10.0.0.1", "::ffff:a00:1"],
] as const)
  t.test(`ipText() writes ${ip} as ${want}`, async (t) => t.equal(ipText(ipBytes(ip)), want));

for (const [cidr, want] of [
  ["10.0.0.5/24", "10.0.0.0/24"],
  ["10.255.255.5/12", "10.240.0.0/12"],
  ["10.0.0.5/32", "10.0.0.5/32"],
  ["10.0.0.5/0", "0.0.0.0/0"],
  ["fd00::ffff:5/113", "fd00::ffff:0/113"],
  ["fd00::5/64", "fd00::/64"],
  ["10.0.0.5", "10.0.0.5/32"],
] as const)
  t.test(`networkOf() ${cidr} is ${want}`, async (t) => t.equal(networkOf(cidr), want));

for (const cidr of [
  "10.0.0.5/33",
  "fd00::/129",
  "10.0.0.5/",
  "10.0.0.5/-1",
  "10.0.0.5/24/7",
  "10.0.0.5/2x",
  "10.0.0.5/1e1",
])
  t.test(`splitCidr() refuses ${cidr}`, async (t) => {
    t.throws(() => splitCidr(cidr), { message: `cannot use "${cidr}": it is not an address with a prefix length` });
  });
