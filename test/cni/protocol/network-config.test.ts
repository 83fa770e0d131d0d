// Numbers are those of the conformance checklist in README.md.
import t from "tap";
import { readNetworkConfig } from "../../../cni/protocol/network-config.ts";
import { SUPPORTED_VERSIONS, type Verb } from "../../../cni/protocol/version.ts";
import { CONFIG, call } from "./support/plugin.ts";

const VERBS: readonly Verb[] = ["ADD", "CHECK", "DEL", "GC", "STATUS"];

for (const [row, stdin, want] of [
  ["22: nothing", "", { code: 6, msg: /empty/ }],
  ["22: white space", " \n", { code: 6, msg: /empty/ }],
  ["23: half an object", "{", { code: 6 }],
  ["24: a list", "[]", { code: 6, msg: /an object/ }],
  ["24: a string", '"x"', { code: 6, msg: /an object/ }],
  ["24: a number", "5", { code: 6, msg: /an object/ }],
  ["25: null", "null", { code: 7, msg: /missing network name/ }],
  ["26: no name", "{}", { code: 7, msg: /missing network name/ }],
  ["27: an empty name", '{"name":""}', { code: 7, msg: /missing network name/ }],
  ["27: null as a name", '{"name":null}', { code: 7, msg: /missing network name/ }],
  ["28: a name with a slash", '{"name":"a/b"}', { code: 7, details: "a/b" }],
  ["28: a name with a sign first", '{"name":"-a"}', { code: 7, details: "-a" }],
  ["29: a number as a name", '{"name":5}', { code: 6, msg: /name/ }],
  ["30: something behind the object", '{"cniVersion":"1.0.0","name":"n"}x', { code: 6 }],
  ["30: a second object", '{"name":"n"}{"name":"n"}', { code: 6 }],
  ["31: a number as a version", '{"cniVersion":1,"name":"n"}', { code: 6, msg: /cniVersion/ }],
  ["33: a later version", '{"cniVersion":"1.2.0","name":"n"}', { code: 1, msg: /1\.2\.0/, details: /0\.1\.0.*1\.1\.0/ }],
  ["33: a version far away", '{"cniVersion":"9.9.9","name":"n"}', { code: 1, msg: /9\.9\.9/ }],
  ["33: a short version", '{"cniVersion":"0.3","name":"n"}', { code: 1, msg: /0\.3/ }],
  ["33: a version with a v", '{"cniVersion":"v1.0.0","name":"n"}', { code: 1 }],
  ["33: a version with a space", '{"cniVersion":"1.0.0 ","name":"n"}', { code: 1 }],
  ["33: a name that every object has", '{"cniVersion":"constructor","name":"n"}', { code: 1 }],
] as const) // biome-ignore format: rows
  t.test(`readNetworkConfig() ${row} is error ${want.code}, in every verb`, async (t) => {
    for (const verb of VERBS) {
      const { exit, json, call: got } = await call(verb, stdin);
      t.match({ exit, json, got }, { exit: 1, json: want, got: undefined }, verb);
    }
  });

for (const [row, stdin] of [
  ["30: white space around the object", '\n {"cniVersion":"1.1.0","name":"n"}\t\r\n '],
  ["34: fields that others add", JSON.stringify({ ...CONFIG, capabilities: { mac: true }, deviceID: "x", pciBusID: "x", "cni.dev/x": [1], plugins: 5 })],
  ["34: the fields of the specification", JSON.stringify({ ...CONFIG, args: { cni: { mac: "x" } }, ipam: { type: "static" }, dns: { nameservers: ["10.0.0.1"] }, runtimeConfig: { mac: "x" } })],
  ["34: null for each of them", JSON.stringify({ ...CONFIG, type: null, args: null, ipam: null, dns: null, runtimeConfig: null, prevResult: null })],
  ["35: a key twice, the last one right", '{"cniVersion":"9.9.9","name":"-","cniVersion":"1.1.0","name":"n"}'],
  ["35: keys in upper case", '{"CNIVERSION":"1.1.0","NAME":"n"}'],
  ["35: a key in two spellings, the last one right", '{"name":"-","CniVersion":"9.9.9","NAME":"n","cniVersion":"1.1.0"}'],
  ["35: null in another spelling", '{"name":"n","NAME":null,"cniVersion":"1.1.0"}'],
  ["35: a letter beyond ASCII that Go folds to one", '{"name":"n","cniVer\u017fion":"1.1.0"}'],
  ["36: three megabytes", JSON.stringify({ ...CONFIG, filler: "x".repeat(3_000_000) })],
  ["40: numbers beyond 2^53", '{"cniVersion":"1.1.0","name":"n","guid":18446744073709551615}'],
  ["48: ipam without a type", JSON.stringify({ ...CONFIG, ipam: {} })],
  ["48: ipam with an empty type", JSON.stringify({ ...CONFIG, ipam: { type: "" } })],
] as const) // biome-ignore format: rows
  t.test(`readNetworkConfig() ${row} is accepted, in every verb`, async (t) => {
    for (const verb of VERBS) {
      const { exit, call: got } = await call(verb, stdin);
      t.match(
        { exit, name: got?.config.name, version: got?.config.cniVersion },
        { exit: 0, name: "n", version: "1.1.0" },
        verb,
      );
    }
  });

for (const stdin of ['{"name":"n"}', '{"cniVersion":"","name":"n"}', '{"cniVersion":null,"name":"n"}'])
  t.test(`readNetworkConfig() 32: ${stdin} means version 0.1.0`, async (t) => {
    t.equal(readNetworkConfig(stdin, "ADD").cniVersion, "0.1.0");
    t.match((await call("CHECK", stdin)).json, { code: 1 });
  });

t.test("readNetworkConfig() keeps unknown fields as they came and drops nulls of typed ones", async (t) => {
  const given = {
    ...CONFIG,
    deviceID: "0000:af:06.0",
    odd: { a: [null] },
    ipam: { type: "x", pool: { a: 1 } },
    dns: null,
  };
  const { dns: _, ...want } = given;
  t.same(readNetworkConfig(JSON.stringify(given), "ADD"), want);
});

t.test("readNetworkConfig() 35: the specification's keys come out as it spells them, on every level", async (t) => {
  const given = {
    ...CONFIG,
    IPAM: { Type: "static", Addresses: [] },
    RuntimeConfig: { MAC: "x", cnideviceinfofile: "y" },
    Args: { CNI: { Mac: "z", other: 1 } },
    DNS: { NameServers: ["10.0.0.1"] },
    PrevResult: { cniVersion: "1.1.0", IPs: [{ Address: "10.0.0.5/24" }] },
  };
  t.match(readNetworkConfig(JSON.stringify(given), "ADD"), {
    ipam: { type: "static", Addresses: [] },
    runtimeConfig: { mac: "x", CNIDeviceInfoFile: "y" },
    args: { cni: { mac: "z", other: 1 } },
    dns: { nameservers: ["10.0.0.1"] },
  });
  t.match((await call("ADD", given)).json, { ips: [{ address: "10.0.0.5/24" }] });
});

t.test("readNetworkConfig() takes names that every object has for keys like others", async (t) => {
  const config = readNetworkConfig('{"name":"n","constructor":{"a":1},"toString":5}', "ADD");
  t.same([config["constructor"], config["toString"]], [{ a: 1 }, 5]);
});

t.test("readNetworkConfig() gives an absent type as empty", async (t) => {
  t.equal(readNetworkConfig('{"name":"n"}', "ADD").type, "");
});

t.test("readNetworkConfig() takes __proto__ for a key like others", async (t) => {
  const config = readNetworkConfig('{"name":"n","__proto__":{"type":"evil","ipam":{"type":"evil"}}}', "ADD");
  t.same({ type: config.type, ipam: config.ipam }, { type: "", ipam: undefined });
});

for (const [row, odd, path] of [
  ["ipam as a string", { ipam: "static" }, "ipam"],
  ["ipam as a list", { ipam: [] }, "ipam"],
  ["a number as ipam.type", { ipam: { type: 5 } }, "ipam.type"],
  ["a number as type", { type: 5 }, "type"],
  ["dns as a list", { dns: ["10.0.0.1"] }, "dns"],
  ["name servers as a string", { dns: { nameservers: "10.0.0.1" } }, "dns.nameservers"],
  ["a number among the search domains", { dns: { search: ["a", 5] } }, "dns.search[1]"],
  ["runtimeConfig as a string", { runtimeConfig: "x" }, "runtimeConfig"],
  ["args.cni as a list", { args: { cni: [] } }, "args.cni"],
] as const)
  t.test(`readNetworkConfig() 89: ${row} is error 6 with its path, and absent in a DEL`, async (t) => {
    for (const verb of VERBS.filter((v) => v !== "DEL")) {
      const { json } = await call(verb, { ...CONFIG, ...odd });
      t.equal(json?.code, 6, verb);
      t.ok(json?.msg?.includes(`.${path}: `), `names ${path}`);
    }
    const { exit, call: got } = await call("DEL", { ...CONFIG, ...odd });
    t.same({ exit, field: got?.config[Object.keys(odd)[0]!] ?? "" }, { exit: 0, field: "" });
  });

/** Which version has which verb (SPEC.md, changes of 0.4.0 and 1.1.0). */
const HAS: Record<Verb, readonly string[]> = {
  ADD: SUPPORTED_VERSIONS,
  DEL: SUPPORTED_VERSIONS,
  CHECK: ["0.4.0", "1.0.0", "1.1.0"],
  GC: ["1.1.0"],
  STATUS: ["1.1.0"],
};
for (const verb of VERBS)
  for (const cniVersion of SUPPORTED_VERSIONS)
    t.test(`checkVerb() 96, 105: ${verb} in ${cniVersion}`, async (t) => {
      const { exit, json } = await call(verb, { ...CONFIG, cniVersion, ipam: { type: "" } }, {});
      const wanted = HAS[verb].includes(cniVersion);
      const needsAddress = verb === "ADD" && ["0.1.0", "0.2.0"].includes(cniVersion); // 46
      const code = wanted ? (needsAddress ? 999 : undefined) : 1;
      t.same({ exit, code: json?.code }, { exit: code === undefined ? 0 : 1, code });
      if (!wanted) t.match(json, { cniVersion, msg: `cannot ${verb}` });
    });
