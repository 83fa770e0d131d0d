// Numbers are those of the conformance checklist in README.md.

import t from "tap";
import { isIPv6 } from "../../../cni/protocol/ip.ts";
import { emptyResult, formatResult, mergeResult, type Result } from "../../../cni/protocol/result.ts";
import { parseResult } from "../../../cni/protocol/result-parse.ts";
import { SUPPORTED_VERSIONS } from "../../../cni/protocol/version.ts";
import * as fc from "../../../lab/properties.ts";
import * as any from "./support/arbitrary.ts";
import { BASE, CONFIG, call } from "./support/plugin.ts";

/** What an attachment of the reference plugin with three addresses looks like. */
const FULL: Result = {
  interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", mtu: 9000, sandbox: "/n", pciID: "0000:08:00.2" }],
  ips: [
    { address: "192.168.0.5/31", gateway: "192.168.0.4", interface: 0 },
    { address: "fd00::5/64", interface: 0 },
    { address: "192.168.0.7/31", interface: 0 },
  ],
  routes: [
    { dst: "192.168.0.0/16", gw: "192.168.0.4", mtu: 9000, table: 101 },
    { dst: "fd01::/64", gw: "fd00::1", scope: 0 },
  ],
  dns: { nameservers: ["10.0.0.1"] },
};
const [LINK] = FULL.interfaces;
const labelled = {
  interfaces: [{ name: "net1", mac: LINK!.mac, sandbox: "/n" }],
  ips: FULL.ips.map((ip) => ({ version: isIPv6(ip.address) ? "6" : "4", ...ip })),
  routes: FULL.routes,
  dns: FULL.dns,
};
const families = {
  ip4: { ip: "192.168.0.5/31", gateway: "192.168.0.4", routes: [{ dst: "192.168.0.0/16", gw: "192.168.0.4" }] },
  ip6: { ip: "fd00::5/64", routes: [{ dst: "fd01::/64", gw: "fd00::1" }] },
  dns: FULL.dns,
};
const SHAPE = {
  "0.1.0": families,
  "0.2.0": families,
  "0.3.0": labelled,
  "0.3.1": labelled,
  "0.4.0": labelled,
  "1.0.0": FULL,
  "1.1.0": FULL,
} as const;

for (const cniVersion of SUPPORTED_VERSIONS) {
  t.test(`formatResult() 45, 47: the form of ${cniVersion}`, async (t) => {
    t.same(formatResult(FULL, cniVersion), { cniVersion, ...SHAPE[cniVersion] });
  });

  t.test(`formatResult() 48: a link alone in ${cniVersion}`, async (t) => {
    const l2 = { ...emptyResult(), interfaces: FULL.interfaces };
    if (SHAPE[cniVersion] === families)
      return t.throws(() => formatResult(l2, cniVersion), { code: 999, message: /no valid IP addresses/ });
    const { interfaces } = SHAPE[cniVersion] as Pick<Result, "interfaces">;
    return t.same(formatResult(l2, cniVersion), {
      cniVersion,
      interfaces,
      ...(SHAPE[cniVersion] === labelled && { dns: {} }),
    });
  });

  t.test(`parseResult() of formatResult() in ${cniVersion} is what that version can say, and stays so`, async (t) => {
    fc.assert(
      fc.property(any.result, (given) => {
        if (SHAPE[cniVersion] === families && given.ips.length === 0) return;
        const printed = formatResult(given, cniVersion);
        const read = parseResult(JSON.parse(JSON.stringify(printed)), cniVersion);
        t.same(formatResult(read, cniVersion), printed);
        if (SHAPE[cniVersion] === FULL) t.same(read, given);
      }),
      { numRuns: 100 },
    );
  });
}

t.test("formatResult() 47: a route whose family has no address is left out in 0.2.0", async (t) => {
  const given = { ...FULL, ips: [{ address: "fd00::5/64" }] };
  t.same(formatResult(given, "0.2.0"), { cniVersion: "0.2.0", ip6: families.ip6, dns: FULL.dns });
});

t.test("formatResult() refuses an unknown version", async (t) => {
  t.throws(() => formatResult(FULL, "1.2.0"), { code: 1 });
});

for (const [row, version, json, want] of [
  ["131: an IPAM result in 1.0.0", "1.0.0", { cniVersion: "1.0.0", ips: [{ address: "10.1.0.4/24", gateway: "10.1.0.1" }], routes: [{ dst: "0.0.0.0/0" }], dns: {} }, { ips: [{ address: "10.1.0.4/24", gateway: "10.1.0.1" }], routes: [{ dst: "0.0.0.0/0" }] }],
  ["131: an IPAM result in 0.3.1", "0.3.1", { cniVersion: "0.3.1", ips: [{ version: "4", address: "10.1.0.4/24" }] }, { ips: [{ address: "10.1.0.4/24" }] }],
  ["131: an IPAM result in 0.1.0", "0.1.0", { ip4: { ip: "10.1.0.4/24", gateway: "10.1.0.1", routes: [{ dst: "10.0.0.0/8" }] }, dns: {} }, { ips: [{ address: "10.1.0.4/24", gateway: "10.1.0.1" }], routes: [{ dst: "10.0.0.0/8" }] }],
  ["131: IPv6 alone in 0.2.0", "0.2.0", { ip6: { ip: "fd00::4/64" } }, { ips: [{ address: "fd00::4/64" }] }],
  ["132: host bits stay", "1.1.0", { ips: [{ address: "192.168.0.5/16" }] }, { ips: [{ address: "192.168.0.5/16" }] }],
  ["54: no version of its own", "0.4.0", { ips: [] }, {}],
  ["54: an empty version of its own", "0.4.0", { cniVersion: "" }, {}],
  ["null everywhere", "1.1.0", { interfaces: null, ips: null, routes: null, dns: null }, {}],
  ["null in every place of an item", "1.1.0", { ips: [{ address: "10.0.0.1/8", gateway: null, interface: null }], dns: { nameservers: null, domain: null } }, { ips: [{ address: "10.0.0.1/8" }] }],
  ["an empty gateway", "1.1.0", { ips: [{ address: "10.0.0.1/8", gateway: "" }] }, { ips: [{ address: "10.0.0.1/8" }] }],
  ["zeros that mean nothing, and two that do", "1.1.0", { routes: [{ dst: "10.0.0.0/8", mtu: 0, advmss: 0, priority: 0, table: 0, scope: 0 }] }, { routes: [{ dst: "10.0.0.0/8", table: 0, scope: 0 }] }],
  ["fields that no version has", "1.1.0", { ips: [{ address: "10.0.0.1/8", odd: 1 }], odd: 1 }, { ips: [{ address: "10.0.0.1/8" }] }],
  ["IPv6 in other spellings", "1.1.0", { ips: [{ address: "FD00:0:0::05/64", gateway: "FD00:0::1" }] }, { ips: [{ address: "fd00::5/64", gateway: "fd00::1" }] }],
  ["an interface without a name", "1.1.0", { interfaces: [{ mac: "x" }] }, { interfaces: [{ name: "", mac: "x" }] }],
] as const) // biome-ignore format: rows
  t.test(`parseResult() ${row}`, async (t) => {
    t.same(parseResult(json, version), { ...emptyResult(), ...want });
  });

for (const [row, version, json, path] of [
  ["41: leading zeros", "1.1.0", { ips: [{ address: "10.0.0.01/24" }] }, "ips[0].address"],
  ["41: IPv4 in IPv6", "1.1.0", { ips: [{ address: "::ffff:10.0.0.1/120" }] }, "ips[0].address"],
  ["54: no prefix length", "1.1.0", { ips: [{ address: "10.0.0.1/8" }, { address: "10.0.0.1" }] }, "ips[1].address"],
  ["54: no address", "1.1.0", { ips: [{ gateway: "10.0.0.1" }] }, "ips[0].address"],
  ["54: an address that is none", "0.4.0", { ips: [{ version: "4", address: "bad" }] }, "ips[0].address"],
  ["54: an address that is none in 0.1.0", "0.1.0", { ip4: { ip: "bad" } }, "ip4.ip"],
  ["54: a gateway with a prefix length", "1.1.0", { ips: [{ address: "10.0.0.1/8", gateway: "10.0.0.2/8" }] }, "ips[0].gateway"],
  ["54: a route to nowhere", "1.1.0", { routes: [{ gw: "10.0.0.1" }] }, "routes[0].dst"],
  ["54: ips as an object", "1.1.0", { ips: {} }, "ips"],
  ["54: a string among the ips", "1.1.0", { ips: ["10.0.0.1/8"] }, "ips[0]"],
  ["54: null among the ips", "1.1.0", { ips: [null] }, "ips[0]"],
  ["54: half an index", "1.1.0", { ips: [{ address: "10.0.0.1/8", interface: 0.5 }] }, "ips[0].interface"],
  ["54: an index below 0", "1.1.0", { ips: [{ address: "10.0.0.1/8", interface: -1 }] }, "ips[0].interface"],
  ["54: a number as a name", "1.1.0", { interfaces: [{ name: 5 }] }, "interfaces[0].name"],
  ["54: an MTU as text", "1.1.0", { interfaces: [{ name: "a", mtu: "9000" }] }, "interfaces[0].mtu"],
  ["54: a domain as a list", "1.1.0", { dns: { domain: ["a"] } }, "dns.domain"],
  ["54: a list", "1.1.0", [], ""],
  ["54: a string", "1.1.0", "x", ""],
] as const) // biome-ignore format: rows
  t.test(`parseResult() ${row} is an error with its path`, async (t) => {
    t.throws(() => parseResult(json, version, "prevResult"), { name: "CniError", code: /^[67]$/ });
    try {
      parseResult(json, version, "prevResult");
    } catch (error) {
      const name = path ? `prevResult.${path}` : "prevResult";
      t.match((error as Error).message, new RegExp(`^cannot (decode|use) ${name.replace(/[[\].]/g, "\\$&")}[: ]`));
    }
  });

t.test("parseResult() 54: a result of another version is error 6", async (t) => {
  t.throws(() => parseResult({ cniVersion: "0.3.1" }, "0.4.0"), { code: 6, message: /0\.3\.1.*0\.4\.0/ });
  t.throws(() => parseResult({}, "9.9.9"), { code: 1 });
});

t.test("parseResult() never throws anything but errors of the protocol", async (t) => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.constantFrom(...SUPPORTED_VERSIONS), (json, version) => {
      try {
        parseResult(json, version);
      } catch (error) {
        t.match(error, { name: "CniError" });
      }
    }),
    { numRuns: 300 },
  );
});

const OURS = { name: "net1", sandbox: "/n" };
const ADDED: Result = { ...emptyResult(), ips: [{ address: "10.0.0.2/24" }], routes: [{ dst: "10.0.0.0/8" }] };

t.test("mergeResult() 49: without a chain before, our interface is the first and has the addresses", async (t) => {
  t.same(mergeResult(undefined, OURS, ADDED, undefined), {
    interfaces: [OURS],
    ips: [{ address: "10.0.0.2/24", interface: 0 }],
    routes: ADDED.routes,
    dns: {},
  });
});

t.test("mergeResult() 53: behind a chain, indices refer to the merged list", async (t) => {
  t.same(mergeResult(FULL, OURS, ADDED, undefined), {
    interfaces: [...FULL.interfaces, OURS],
    ips: [...FULL.ips, { address: "10.0.0.2/24", interface: 1 }],
    routes: [...FULL.routes, ...ADDED.routes],
    dns: FULL.dns,
  });
});

t.test("mergeResult() 124: drops the index that the IPAM plugin gave", async (t) => {
  const ips = [{ address: "10.0.0.2/24", interface: 7 }];
  t.same(mergeResult(undefined, OURS, { ...ADDED, ips }, undefined).ips, [{ address: "10.0.0.2/24", interface: 0 }]);
});

const [CONFIGURED, GIVEN] = [{ domain: "configured" }, { domain: "given" }];
for (const [row, dns, added, before, want] of [
  ["of the configuration wins", CONFIGURED, GIVEN, FULL.dns, CONFIGURED],
  ["of the IPAM plugin is next", undefined, GIVEN, FULL.dns, GIVEN],
  ["of an empty configuration does not count", {}, GIVEN, FULL.dns, GIVEN],
  ["of the chain is the last", {}, {}, FULL.dns, FULL.dns],
] as const)
  t.test(`mergeResult() 125: dns ${row}`, async (t) => {
    t.same(mergeResult({ ...FULL, dns: before }, OURS, { ...ADDED, dns: added }, dns).dns, want);
  });

for (const cniVersion of SUPPORTED_VERSIONS)
  t.test(`dispatch() 53: prevResult in ${cniVersion} goes in and comes out in that version`, async (t) => {
    const prevResult = { cniVersion, ...SHAPE[cniVersion] };
    const { exit, json } = await call("ADD", { ...CONFIG, cniVersion, prevResult });
    const before = parseResult(prevResult, cniVersion);
    const ours = { ...LINK!, sandbox: BASE.CNI_NETNS };
    t.equal(exit, 0);
    t.same(json, formatResult({ ...before, interfaces: [...before.interfaces, ours] }, cniVersion));
  });

for (const [row, prevResult, code] of [
  ["another version", { cniVersion: "1.0.0" }, 6],
  ["a bad address", { ips: [{ address: "bad" }] }, 7],
  ["no object", "x", 6],
] as const)
  t.test(`readRequest() 54, 88: prevResult with ${row} fails ADD and CHECK, and never a cleanup`, async (t) => {
    for (const verb of ["ADD", "CHECK"]) t.equal((await call(verb, { ...CONFIG, prevResult })).json?.code, code, verb);
    for (const verb of ["DEL", "GC", "STATUS"]) {
      const { exit, call: got } = await call(verb, { ...CONFIG, prevResult });
      t.same({ exit, prevResult: got?.prevResult }, { exit: 0, prevResult: undefined }, verb);
    }
  });

t.test("readRequest() 54, 87: prevResult that is null or absent is none", async (t) => {
  for (const config of [CONFIG, { ...CONFIG, prevResult: null }])
    for (const verb of ["ADD", "CHECK", "DEL"]) {
      const { exit, call: got } = await call(verb, config);
      t.same({ exit, prevResult: got?.prevResult }, { exit: 0, prevResult: undefined }, verb);
    }
});

t.test("readRequest() gives DEL a prevResult that can be read", async (t) => {
  const { call: got } = await call("DEL", { ...CONFIG, prevResult: FULL });
  t.same(got?.prevResult, FULL);
});
