// Numbers are those of the conformance checklist in README.md.

import t from "tap";
import { dispatch, failure, type Plugin } from "../../../cni/protocol/dispatch.ts";
import { CniError } from "../../../cni/protocol/error.ts";
import { emptyResult } from "../../../cni/protocol/result.ts";
import { SUPPORTED_VERSIONS } from "../../../cni/protocol/version.ts";
import * as fc from "../../../lab/properties.ts";
import { request } from "./support/arbitrary.ts";
import { ask, BASE, CONFIG, call } from "./support/plugin.ts";

const DUMMY = { CNI_NETNS: "dummy", CNI_IFNAME: "dummy", CNI_PATH: "dummy" };
for (const [row, env, stdin, cniVersion] of [
  ["42: nothing else in the environment", {}, "", "1.1.0"],
  ["42: garbage on stdin", BASE, "garbage", "1.1.0"],
  ["42: null on stdin", BASE, "null", "1.1.0"],
  ["42: an older version on stdin", BASE, '{"cniVersion":"0.4.0"}', "0.4.0"],
  ["42: an unknown version on stdin", BASE, '{"cniVersion":"9.9.9"}', "1.1.0"],
  ["42: a number as version on stdin", BASE, '{"cniVersion":1}', "1.1.0"],
  ["43: libcni's probe", DUMMY, '{"cniVersion":"1.1.0"}', "1.1.0"],
] as const)
  t.test(`dispatch() ${row}: VERSION answers without host and configuration`, async (t) => {
    const { exit, json, stderr } = await ask({ ...env, CNI_COMMAND: "VERSION" }, stdin);
    t.same(
      { exit, stderr, json },
      { exit: 0, stderr: "", json: { cniVersion, supportedVersions: SUPPORTED_VERSIONS } },
    );
  });

t.test("dispatch() 44: VERSION names what ADD accepts and nothing else", async (t) => {
  const { json } = await ask({ CNI_COMMAND: "VERSION" });
  const named = json?.supportedVersions as string[];
  const ips = [{ address: "10.0.0.2/24" }];
  for (const cniVersion of [...named, "0.0.1", "0.3.2", "0.5.0", "1.0.1", "1.1.1", "1.2.0", "2.0.0"]) {
    const { exit } = await ask({ ...BASE, CNI_COMMAND: "ADD" }, { ...CONFIG, cniVersion }, { ips });
    t.equal(exit === 0, named.includes(cniVersion), cniVersion);
  }
});

for (const verb of ["CHECK", "DEL", "GC", "STATUS"])
  t.test(`dispatch() 79, 99, 112, 114: ${verb} that succeeds prints nothing`, async (t) => {
    const { exit, stdout, stderr, call: got } = await call(verb);
    t.match({ exit, stdout, stderr, verb: got?.verb }, { exit: 0, stdout: "", stderr: "", verb });
  });

t.test("dispatch() 49, 63: ADD prints its result and nothing else", async (t) => {
  const { exit, stderr, json } = await call("ADD");
  t.same({ exit, stderr }, { exit: 0, stderr: "" });
  t.same(json, {
    cniVersion: "1.1.0",
    interfaces: [{ name: "net1", mac: "02:00:00:00:00:01", mtu: 9000, sandbox: BASE.CNI_NETNS, pciID: "0000:08:00.2" }],
  });
});

t.test("dispatch() 64: a result of more than 64 KiB is whole", async (t) => {
  const routes = Array.from({ length: 5_000 }, (_, i) => ({ dst: `10.${i >> 8}.${i & 255}.0/24` }));
  const { json } = await ask({ ...BASE, CNI_COMMAND: "ADD" }, CONFIG, { routes });
  t.same(json?.routes, routes);
});

/** A plugin whose every verb throws. */
const throwing = (thrown: unknown): Plugin<unknown> => {
  const fail = async (): Promise<never> => {
    throw thrown;
  };
  return { name: "x", about: "x", verbs: { ADD: fail, CHECK: fail, DEL: fail, GC: fail, STATUS: fail } };
};
const ask2 = (plugin: Plugin<unknown>, verb: string, config: object = CONFIG) =>
  dispatch(plugin, { name: "x", env: { ...BASE, CNI_COMMAND: verb }, stdin: JSON.stringify(config) }, undefined);

for (const [row, thrown, want] of [
  ["an error of the protocol", new CniError(11, "try later", { details: "d" }), { code: 11, msg: "try later", details: "d" }],
  ["one without details", new CniError(50, "pool exhausted"), { code: 50, msg: "pool exhausted" }],
  ["a plain error", new Error("plain failure"), { code: 100, msg: "plain failure" }],
  ["a string", "text", { code: 100, msg: "text" }],
  ["undefined", undefined, { code: 100, msg: "undefined" }],
  ["half a surrogate pair", new Error("\ud800"), { code: 100, msg: "\ud800" }],
] as const)
  t.test(`dispatch() 57, 66, 110: ${row} that a verb throws is one JSON object, in the caller's version`, async (t) => {
    for (const [verb, cniVersion] of [["ADD", "0.4.0"], ["CHECK", "0.4.0"], ["DEL", "1.0.0"], ["GC", "1.1.0"], ["STATUS", "1.1.0"]] as const) {
      const { exit, stdout, stderr } = await ask2(throwing(thrown), verb, { ...CONFIG, cniVersion });
      t.same({ exit, stderr, json: JSON.parse(stdout) }, { exit: 1, stderr: "", json: { cniVersion, ...want } }, verb);
    }
  }); // biome-ignore format: rows

t.test("dispatch() 46: a result that the caller's version cannot say is error 999", async (t) => {
  for (const cniVersion of ["0.1.0", "0.2.0"])
    t.match((await call("ADD", { ...CONFIG, cniVersion })).json, {
      cniVersion,
      code: 999,
      msg: /no valid IP addresses/,
    });
});

t.test("failure() speaks the latest version when there is none to go by", async (t) => {
  t.same(failure(new CniError(5, "cannot read stdin")), {
    exit: 1,
    stdout: '{"cniVersion":"1.1.0","code":5,"msg":"cannot read stdin"}',
    stderr: "",
  });
});

t.test("dispatch() never throws and prints one JSON object or nothing, whatever comes", async (t) => {
  const plugin: Plugin<undefined> = {
    ...throwing(0),
    verbs: { ...throwing(0).verbs, ADD: async ({ prevResult }) => prevResult ?? emptyResult() },
  };
  const seen = new Set<number>();
  await fc.assert(
    fc.asyncProperty(request, async (request) => {
      const { exit, stdout } = await dispatch(plugin, request, undefined);
      if (stdout === "") return exit === 0;
      const json: Record<string, unknown> = JSON.parse(stdout);
      if (exit === 0) return SUPPORTED_VERSIONS.includes(json.cniVersion as "1.1.0") && !("code" in json);
      seen.add(json.code as number);
      return exit === 1 && Number.isInteger(json.code) && typeof json.msg === "string" && json.msg !== "";
    }),
    { numRuns: 1_000 },
  );
  for (const code of [4, 6, 7, 1, 100]) t.ok(seen.has(code), `error ${code} was among the answers`);
});

t.test("dispatch() answers nesting that no parser likes", async (t) => {
  for (const stdin of [
    "[".repeat(200_000),
    '{"name":"n","a":'.repeat(50_000),
    `{"name":"n","cniVersion":"1.1.0","a":${"[".repeat(50_000)}${"]".repeat(50_000)}}`,
  ]) {
    const { exit, stdout } = await ask({ ...BASE, CNI_COMMAND: "DEL" }, stdin);
    if (exit !== 0) t.equal(JSON.parse(stdout).code, 6);
    else t.equal(stdout, "");
  }
});
