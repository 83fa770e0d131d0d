// Numbers are those of the conformance checklist in README.md.
import { join } from "node:path";
import t from "tap";
import { delegate, type Exec, type ExecReply, type ExecRequest, hasPlugin } from "../../../cni/protocol/delegate.ts";
import type { Call } from "../../../cni/protocol/request.ts";
import { SUPPORTED_VERSIONS, type Verb } from "../../../cni/protocol/version.ts";

const CONFIG =
  '{ "name":"n",\t"cniVersion":"1.1.0", "type":"x", "ipam":{"type":"ipam"}, "big":12345678901234567890 }\n';
const plugins = t.testdir({
  first: { both: "", folder: {}, "not-a-folder": "" },
  second: { both: "", folder: "", only: "", ipam: "", link: t.fixture("symlink", "only"), gone: t.fixture("symlink", "x") },
}); // biome-ignore format: a tree
const FIRST = join(plugins, "first");
const SECOND = join(plugins, "second");

function callOf(verb: Verb, { path = [FIRST, SECOND], cniVersion = "1.1.0" } = {}): Call {
  const env = {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: "c1",
    CNI_NETNS: "/run/netns/p",
    CNI_IFNAME: "net1",
    CNI_PATH: path.join(":"),
    CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAME=p",
    CNI_FOO: "bar",
  };
  return {
    verb,
    containerId: "c1",
    netns: "/run/netns/p",
    ifname: "net1",
    path,
    args: {},
    config: { cniVersion, name: "n", type: "x", ipam: { type: "ipam" } },
    request: { name: "railnet-sriov", env, stdin: CONFIG },
  };
}

const RESULT = { cniVersion: "1.1.0", ips: [{ address: "10.1.0.4/24", gateway: "10.1.0.1" }] };

/** Delegates to a plugin that answers so, and says what it was asked. */
async function ask(verb: Verb, reply: Partial<Omit<ExecReply, "stdout">> & { stdout?: unknown }, call = callOf(verb)) {
  const asked: ExecRequest[] = [];
  const exec: Exec = async (request) => {
    asked.push(request);
    const { stdout = "", ...rest } = reply;
    return { exit: 0, stderr: "", ...rest, stdout: typeof stdout === "string" ? stdout : JSON.stringify(stdout) };
  };
  return { result: await delegate(exec, verb, "ipam", call), asked };
}

const neverRun: Exec = async ({ binary }) => {
  throw new Error(`${binary} was run`);
};

for (const [what, type, path, want] of [
  ["takes the first that there is", "both", [FIRST, SECOND], join(FIRST, "both")],
  ["in the order of CNI_PATH", "both", [SECOND, FIRST], join(SECOND, "both")],
  ["goes on where it is missing", "only", [FIRST, SECOND], join(SECOND, "only")],
  ["passes over a directory of that name", "folder", [FIRST, SECOND], join(SECOND, "folder")],
  ["takes a link to a file", "link", [FIRST, SECOND], join(SECOND, "link")],
  [
    "passes over parts that are no directories",
    "only",
    ["/nowhere", join(FIRST, "both"), SECOND],
    join(SECOND, "only"),
  ],
] as const)
  t.test(`delegate() 119: ${what}`, async (t) => {
    let binary = "";
    const exec: Exec = async (request) => {
      binary = request.binary;
      return { exit: 0, stdout: "", stderr: "" };
    };
    await delegate(exec, "DEL", type, callOf("DEL", { path: [...path] }));
    t.equal(binary, want);
  });

for (const type of ["", "a/b", "/bin/true", "../second/only", "..", ".", "a\0b"])
  t.test(`delegate() 119: refuses the type ${JSON.stringify(type)}`, async (t) => {
    await t.rejects(delegate(neverRun, "ADD", type, callOf("ADD")), { code: 7, message: /^cannot use ipam\.type "/ });
  });

for (const [type, path] of [
  ["absent", [FIRST, SECOND]],
  ["gone", [SECOND]],
  ["folder", [FIRST]],
  ["ipam", []],
] as const)
  t.test(`delegate() 92, 119: ${type} in ${path.length} directories is named, with what to do`, async (t) => {
    const failing = delegate(neverRun, "DEL", type, callOf("DEL", { path: [...path] }));
    await t.rejects(failing, {
      code: 100,
      message: `cannot find plugin "${type}" in CNI_PATH ${path.join(":")}: install it there`,
    });
    // what containerd and Multus would take for success
    await t.rejects(failing, { message: /^(?!.*(not found|no such file or directory))/ });
  });

for (const [type, path, want] of [
  ["only", [FIRST, SECOND], true],
  ["link", [SECOND], true],
  ["absent", [FIRST, SECOND], false],
  ["folder", [FIRST], false],
  ["gone", [SECOND], false],
  ["only", [], false],
  ["../second/only", [FIRST], false],
  ["", [SECOND], false],
] as const)
  t.test(`hasPlugin() is ${want} for "${type}" in ${path.length} directories`, async (t) => {
    t.equal(hasPlugin(type, path), want);
  });

for (const verb of ["ADD", "CHECK", "DEL", "GC", "STATUS"] as const)
  t.test(`delegate() 120, 128: ${verb} hands on stdin to the byte and the environment but for the verb`, async (t) => {
    const call = callOf("ADD");
    const { asked } = await ask(verb, { stdout: RESULT }, call);
    t.same(asked, [
      {
        binary: join(SECOND, "ipam"),
        env: { ...call.request.env, CNI_COMMAND: verb },
        stdin: CONFIG,
        timeoutMs: 60_000,
      },
    ]);
  });

const FAMILIES = {
  ip4: { ip: "10.1.0.4/24", gateway: "10.1.0.1", routes: [{ dst: "0.0.0.0/0" }] },
  ip6: { ip: "fd00::4/64" },
  dns: { search: ["b"] },
};
const LISTS = {
  interfaces: [{ name: "eth7" }],
  ips: [
    { version: "4", address: "10.1.0.4/24", gateway: "10.1.0.1", interface: 3 },
    { version: "6", address: "FD00:0::4/64" },
  ],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { search: ["b"] },
};
const ADDRESSES = {
  interfaces: [],
  ips: [{ address: "10.1.0.4/24", gateway: "10.1.0.1" }, { address: "fd00::4/64" }],
  routes: [{ dst: "0.0.0.0/0" }],
  dns: { search: ["b"] },
};
for (const version of SUPPORTED_VERSIONS) {
  const body = version < "0.3.0" ? FAMILIES : LISTS;
  t.test(`delegate() 122, 124, 125: a result of ${version} becomes addresses, routes and DNS alone`, async (t) => {
    t.same((await ask("ADD", { stdout: { cniVersion: version, ...body } })).result, ADDRESSES);
  });
  t.test(`delegate() 122: a result without version is of the configuration's, ${version}`, async (t) => {
    const call = callOf("ADD", { cniVersion: version });
    t.same((await ask("ADD", { stdout: body }, call)).result, ADDRESSES);
    t.same((await ask("ADD", { stdout: { cniVersion: "", ...body } }, call)).result, ADDRESSES);
  });
}

for (const [what, stdout] of [
  ["no ips", { cniVersion: "1.1.0" }],
  ["an empty list", { cniVersion: "1.1.0", ips: [] }],
  ["neither ip4 nor ip6", { cniVersion: "0.2.0", ips: RESULT.ips }],
] as const)
  t.test(`delegate() 123: a result with ${what} is an error`, async (t) => {
    await t.rejects(ask("ADD", { stdout }), { code: 100, message: "IPAM plugin returned missing IP config" });
  });

for (const [what, stdout, says] of [
  ["nothing", "", /: it is empty$/],
  ["null", "null", /: it is missing$/],
  ["a banner", "Welcome to ipam\n{}", /: unexpected "W" at line 1, column 1$/],
  ["two objects", "{}\n{}", /: unexpected "{" at line 2, column 1$/],
  ["half an object", '{"ips":', /: unexpected end at line 1, column 8$/],
  ["a list", "[]", /: want an object, got a list$/],
  ["ips of another kind", { ips: {} }, /\.ips: want a list, got an object$/],
  ["an address without prefix length", { ips: [{ address: "10.0.0.1" }] }, /\.ips\[0\]\.address "10\.0\.0\.1": want/],
  ["an address with leading zeros", { ips: [{ address: "10.0.0.01/24" }] }, /\.ips\[0\]\.address "10\.0\.0\.01\/24"/],
  ["an unknown version", { cniVersion: "9.9.9", ips: [] }, /"9\.9\.9"/],
] as const)
  t.test(`delegate() 65: success with ${what} on stdout is an error that names the plugin`, async (t) => {
    await t.rejects(ask("ADD", { stdout }), { code: 6, message: says });
    if (what !== "an unknown version")
      await t.rejects(ask("ADD", { stdout }), { message: /what plugin "ipam" printed/ });
  });

for (const verb of ["CHECK", "DEL", "GC", "STATUS"] as const)
  t.test(`delegate() 65: what ${verb} prints when it succeeds is not looked at`, async (t) => {
    t.equal((await ask(verb, { stdout: "rubbish" })).result, undefined);
  });

for (const [what, error] of [
  ["its own code", { code: 110, msg: "pool exhausted", details: "10.1.0.0/24" }],
  ["129: an older specification", { code: 1, msg: "incompatible CNI versions", details: "plugin supports 1.0.0" }],
  ["try again later", { code: 11, msg: "busy" }],
] as const)
  for (const verb of ["ADD", "CHECK", "DEL", "GC", "STATUS"] as const)
    t.test(`delegate() 102, 116, 126: ${verb} fails as the plugin says: ${what}`, async (t) => {
      const stdout = { cniVersion: "1.0.0", ...error };
      const want = { code: error.code, message: error.msg, details: "details" in error ? error.details : undefined };
      await t.rejects(ask(verb, { exit: 1, stdout }), want);
    });

for (const [what, reply, want] of [
  ["stderr alone", { stderr: "panic: x\n" }, { code: 100, message: 'plugin "ipam" failed with exit status 3: panic: x' }],
  ["nothing at all", {}, { code: 100, message: 'plugin "ipam" failed with exit status 3: it printed nothing' }],
  ["rubbish", { stdout: "oops" }, { code: 6, message: 'plugin "ipam" failed with exit status 3 and printed no CNI error: oops' }],
  ["a result", { stdout: RESULT }, { code: 6, message: /exit status 3 and printed no CNI error: {"cniVersion"/ }],
  ["null", { stdout: "null" }, { code: 6, message: /printed no CNI error: null$/ }],
  ["an empty message", { stdout: { code: 7, msg: "" } }, { code: 6, message: /printed no CNI error/ }],
  ["a code of another kind", { stdout: { code: "7", msg: "m" } }, { code: 100, message: "m" }],
  ["code 0", { stdout: { code: 0, msg: "m", details: 5 } }, { code: 100, message: "m", details: undefined }],
  ["a megabyte", { stdout: "x".repeat(1 << 20) }, { code: 6, message: /^.{1,300}…$/ }],
] as const) // biome-ignore format: rows
  t.test(`delegate() 66, 67: a failure that prints ${what} says so`, async (t) => {
    await t.rejects(ask("ADD", { exit: 3, ...reply }), want);
  });

for (const code of [4, 100, 999])
  t.test(
    `delegate() 111: a plugin older than GC and STATUS, which says so with code ${code}, is no failure`,
    async (t) => {
      for (const verb of ["ADD", "CHECK", "DEL", "GC", "STATUS"] as const) {
        const asking = ask(verb, { exit: 1, stdout: { code, msg: `unknown CNI_COMMAND: ${verb}` } });
        if (verb === "GC" || verb === "STATUS") t.equal((await asking).result, undefined, verb);
        else await t.rejects(asking, { code, message: `unknown CNI_COMMAND: ${verb}` }, verb);
      }
    },
  );

t.test("delegate() 1.2: for DEL alone, an unknown container (code 3) is no failure", async (t) => {
  const reply = { exit: 1, stdout: { code: 3, msg: "unknown container" } };
  await t.resolves(ask("DEL", reply));
  for (const verb of ["ADD", "CHECK", "GC", "STATUS"] as const) await t.rejects(ask(verb, reply), { code: 3 }, verb);
});

const failing = (code: string, times: number) => {
  let runs = 0;
  const exec: Exec = async () => {
    if (runs++ < times) throw Object.assign(new Error(`cannot execute it (${code})`), { code });
    return { exit: 0, stdout: JSON.stringify(RESULT), stderr: "" };
  };
  return { exec, runs: () => runs };
};

for (const [times, runs, works] of [
  [0, 1, true],
  [1, 2, true],
  [5, 6, true],
  [6, 6, false],
  [99, 6, false],
] as const)
  t.test(`delegate() 130: an executable that is being written ${times} times is run ${runs} times`, async (t) => {
    const busy = failing("ETXTBSY", times);
    const asking = delegate(busy.exec, "ADD", "ipam", callOf("ADD"), { busyMs: 1 });
    if (works) t.match(await asking, { ips: RESULT.ips });
    else await t.rejects(asking, { code: 100, message: 'cannot run plugin "ipam": cannot execute it (ETXTBSY)' });
    t.equal(busy.runs(), runs);
  });

t.test("delegate() 130: who gave up does not wait for an executable that is being written", async (t) => {
  const abort = new AbortController();
  const busy = failing("ETXTBSY", 99);
  const asking = delegate(busy.exec, "ADD", "ipam", callOf("ADD"), { busyMs: 20, signal: abort.signal });
  abort.abort(new Error("the caller is gone"));
  await t.rejects(asking, { message: "the caller is gone" });
  t.equal(busy.runs(), 1);
});

for (const [errno, code] of [
  ["EACCES", 100],
  ["ENOENT", 100],
  ["SIGKILL", 100],
  ["ETIMEDOUT", 11],
] as const)
  t.test(`delegate() 92: a plugin that could not be run (${errno}) is not run again, and error ${code}`, async (t) => {
    const broken = failing(errno, 1);
    const asking = delegate(broken.exec, "ADD", "ipam", callOf("ADD"), { busyMs: 1 });
    await t.rejects(asking, { code, message: `cannot run plugin "ipam": cannot execute it (${errno})` });
    t.equal(broken.runs(), 1);
  });

t.test("delegate() hands on its time limit and its caller's end", async (t) => {
  const { signal } = new AbortController();
  const asked: ExecRequest[] = [];
  const exec: Exec = async (request) => {
    asked.push(request);
    return { exit: 0, stdout: "", stderr: "" };
  };
  await delegate(exec, "STATUS", "ipam", callOf("STATUS"), { timeoutMs: 5_000, signal });
  t.match(asked, [{ timeoutMs: 5_000, signal }]);
});
