import { isIPv4 } from "node:net";
import t from "tap";
import { canonicalCidr, canonicalIp, isIPv6 } from "../../../cni/protocol/ip.ts";
import * as fc from "../../../lab/properties.ts";

for (const [given, want] of [
  ["10.0.0.1", "10.0.0.1"],
  ["FD00:0:0:0::5", "fd00::5"],
  ["::", "::"],
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["::1.2.3.4", "::102:304"],
  ["10.0.0.01", undefined],
  ["10.0.0.1/24", undefined],
  ["10.0.1", undefined],
  ["0x0a.0.0.1", undefined],
  ["10.0.0.256", undefined],
  [" 10.0.0.1", undefined],
  ["::ffff:10.0.0.1", undefined],
  ["::ffff:a00:1", undefined],
  ["fe80::1%eth0", undefined],
  ["fd00:::1", undefined],
  ["[::1]", undefined],
  ["host", undefined],
  ["", undefined],
] as const)
  t.test(`canonicalIp() makes ${want} of "${given}"`, async (t) => {
    t.equal(canonicalIp(given), want);
  });

for (const [given, want] of [
  ["10.0.0.1/24", "10.0.0.1/24"],
  ["10.0.0.1/0", "10.0.0.1/0"],
  ["10.0.0.1/32", "10.0.0.1/32"],
  ["FD00::0:5/128", "fd00::5/128"],
  ["10.0.0.1/33", undefined],
  ["fd00::5/129", undefined],
  ["10.0.0.1/024", undefined],
  ["10.0.0.1/-1", undefined],
  ["10.0.0.1/1e1", undefined],
  ["10.0.0.1/", undefined],
  ["10.0.0.1", undefined],
  ["10.0.0.1/24/24", undefined],
  ["10.0.0.1/255.255.255.0", undefined],
  ["/24", undefined],
] as const)
  t.test(`canonicalCidr() makes ${want} of "${given}"`, async (t) => {
    t.equal(canonicalCidr(given), want);
  });

t.test("canonicalIp() gives every IPv6 address one spelling", async (t) => {
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      const canonical = canonicalIp(address);
      if (canonical === undefined) return t.match(address, /ffff/i);
      t.equal(canonicalIp(canonical), canonical);
      return t.equal(canonicalIp(address.toUpperCase()), canonical);
    }),
  );
});

t.test("isIPv6() looks at an address with or without its prefix length", async (t) => {
  for (const address of ["fd00::1", "fd00::1/64"]) t.ok(isIPv6(address));
  for (const address of ["10.0.0.1", "10.0.0.1/8"]) t.notOk(isIPv6(address) || !isIPv4(address.split("/")[0]!));
});
