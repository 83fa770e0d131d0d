// Numbers are those of the conformance checklist in README.md.
import t from "tap";
import { traceIdOf } from "../../../cni/protocol/environment.ts";
import { readRequest } from "../../../cni/protocol/request.ts";
import { ask, BASE, CONFIG, call, without } from "./support/plugin.ts";

const ABOUT = "CNI plugin ref v0\nCNI protocol versions supported: 0.1.0, 0.2.0, 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0\n";

for (const [row, env] of [
  ["no environment at all", {}],
  ["an empty command beside other variables", { ...BASE, CNI_COMMAND: "" }],
] as const)
  t.test(`dispatch() 1: ${row} gets the about text on stderr`, async (t) => {
    t.same(await ask(env, "garbage"), { exit: 0, stdout: "", stderr: ABOUT });
  });

for (const [row, verb, env, named] of [
  ["2: an unknown command", "FOO", BASE, ["FOO"]],
  ["3: a command in lower case", "add", BASE, ["add"]],
  ["3: a name that every object has", "constructor", BASE, ["constructor"]],
  ["4: ADD with nothing else", "ADD", {}, ["CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"]],
  ["5: ADD without a namespace", "ADD", without("CNI_NETNS"), ["CNI_NETNS"]],
  ["6: ADD without a path", "ADD", without("CNI_PATH"), ["CNI_PATH"]],
  ["7: ADD without an interface name", "ADD", without("CNI_IFNAME"), ["CNI_IFNAME"]],
  ["8: ADD without a container", "ADD", without("CNI_CONTAINERID"), ["CNI_CONTAINERID"]],
  ["8: ADD with an empty container", "ADD", { ...BASE, CNI_CONTAINERID: "" }, ["CNI_CONTAINERID"]],
  ["9: CHECK without a namespace", "CHECK", without("CNI_NETNS"), ["CNI_NETNS"]],
  ["12: DEL without a container", "DEL", without("CNI_CONTAINERID"), ["CNI_CONTAINERID"]],
  ["13: DEL without an interface name", "DEL", without("CNI_IFNAME"), ["CNI_IFNAME"]],
  ["14: DEL without a path", "DEL", without("CNI_PATH"), ["CNI_PATH"]],
  ["15: GC without a path", "GC", {}, ["CNI_PATH"]],
  ["15: STATUS without a path", "STATUS", {}, ["CNI_PATH"]],
] as const)
  t.test(`readRequest() ${row} is error 4 and says what`, async (t) => {
    const { exit, json, call } = await ask({ ...env, CNI_COMMAND: verb });
    t.match({ exit, code: json?.code, call }, { exit: 1, code: 4, call: undefined });
    for (const name of named) t.match(json?.msg, name);
    for (const name of Object.keys(BASE)) if (!(named as readonly string[]).includes(name)) t.notMatch(json?.msg, name);
  });

for (const [row, verb, env] of [
  ["10: DEL without a namespace", "DEL", without("CNI_NETNS")],
  ["11: DEL with an empty namespace", "DEL", { ...BASE, CNI_NETNS: "" }],
  ["15: GC with only a path", "GC", { CNI_PATH: "/x" }],
  ["15: STATUS with only a path", "STATUS", { CNI_PATH: "/x" }],
  ["15: GC with the rest empty, as libcni sends it", "GC", { CNI_PATH: "/x", CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "", CNI_ARGS: "" }],
  ["15: STATUS with the rest empty, as libcni sends it", "STATUS", { CNI_PATH: "/x", CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "" }],
  ["20: tracing variables", "ADD", { ...BASE, TRACEPARENT: "00-1", LD_LIBRARY_PATH: "/x", KUBERNETES_PORT: "1" }],
  ["21: unknown CNI_ variables", "ADD", { ...BASE, CNI_VERSION: "0.1.0", CNI_FOO: "1" }],
] as const) // biome-ignore format: rows
  t.test(`readRequest() ${row} is accepted`, async (t) => {
    const { exit, stderr, call } = await ask({ ...env, CNI_COMMAND: verb });
    t.match({ exit, stderr, verb: call?.verb }, { exit: 0, stderr: "", verb });
    t.equal(call?.netns, (env as Record<string, string>).CNI_NETNS ?? "");
  });

const TRACE = "0af7651916cd43dd8448eb211c80319c";
for (const [traceparent, want] of [
  [`00-${TRACE}-b7ad6b7169203331-01`, TRACE],
  [`00-${TRACE}-b7ad6b7169203331-00`, TRACE],
  [`cc-${TRACE}-b7ad6b7169203331-01`, TRACE],
  [`cc-${TRACE}-b7ad6b7169203331-01-what-comes`, TRACE],
  [`00-${TRACE}-b7ad6b7169203331-01-more`, undefined],
  [`ff-${TRACE}-b7ad6b7169203331-01`, undefined],
  [`00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`, undefined],
  [`00-${"0".repeat(32)}-b7ad6b7169203331-01`, undefined],
  [`00-${TRACE}-${"0".repeat(16)}-01`, undefined],
  [`00-${TRACE}-b7ad6b7169203331-1`, undefined],
  [`00-${TRACE}\n-b7ad6b7169203331-01`, undefined],
  [` 00-${TRACE}-b7ad6b7169203331-01`, undefined],
  ["", undefined],
] as const)
  t.test(`traceIdOf() of ${JSON.stringify(traceparent)} is ${want}`, async (t) =>
    t.equal(traceIdOf({ TRACEPARENT: traceparent }), want),
  );
t.test("traceIdOf() of a call without a trace is undefined", async (t) => t.equal(traceIdOf(BASE), undefined));

for (const id of ["-c", ".c", "_c", "c/1", "c 1", "c\n", "ä", "c1;"])
  t.test(`readRequest() 16: container ${JSON.stringify(id)} is error 4 with the ID as its details`, async (t) => {
    for (const verb of ["ADD", "CHECK", "DEL"])
      t.match((await call(verb, CONFIG, { CNI_CONTAINERID: id })).json, { code: 4, details: id }, verb);
  });

for (const id of ["a.b-c_d", "0", "a".repeat(300)])
  t.test(`readRequest() 16: container ${id.slice(0, 10)} of ${id.length} is accepted`, async (t) => {
    t.equal((await call("ADD", CONFIG, { CNI_CONTAINERID: id })).call?.containerId, id);
  });

for (const name of [
  "abcdefghijklmnop",
  "€€€€€é",
  ".",
  "..",
  "a/b",
  "a:b",
  "a b",
  "a\t",
  "a\u0085",
  "a\u2003b",
  "\u3000",
])
  t.test(`readRequest() 17: interface ${JSON.stringify(name)} is error 4`, async (t) => {
    for (const verb of ["ADD", "CHECK", "DEL"])
      t.match((await call(verb, CONFIG, { CNI_IFNAME: name })).json, { code: 4, msg: /CNI_IFNAME/ }, verb);
  });

for (const [name, why] of [
  ["net%d", /percent/],
  ["%", /percent/],
  ["net%s", /percent/],
  ["50%", /percent/],
  ["voilà", /0xa0/],
  ["all", /something else/],
  ["default", /something else/],
  ["net1\0", /zero byte/],
] as const)
  t.test(
    `readRequest() 17: interface ${JSON.stringify(name)} is error 4 in an ADD, and DEL ends what has it`,
    async (t) => {
      t.match((await call("ADD", CONFIG, { CNI_IFNAME: name })).json, { code: 4, msg: why });
      for (const verb of ["CHECK", "DEL"]) t.equal((await call(verb, CONFIG, { CNI_IFNAME: name })).exit, 0, verb);
    },
  );

for (const name of ["abcdefghijklmno", "€€€€€", "é€é€é", "net1@x", "a.b", "...", "-"])
  t.test(`readRequest() 17: interface ${name} is accepted`, async (t) => {
    t.equal((await call("ADD", CONFIG, { CNI_IFNAME: name })).call?.ifname, name);
  });

t.test("readRequest() 38: stdin that could not be read is error 5, after the environment", async (t) => {
  const request = (env: Record<string, string>) => ({ name: "x", env, stdin: "", stdinError: "EISDIR: read" });
  t.throws(() => readRequest(request({ ...BASE, CNI_COMMAND: "ADD" })), { code: 5, message: /EISDIR/ });
  t.throws(() => readRequest(request({ CNI_COMMAND: "ADD" })), { code: 4 });
});

t.test("readRequest() 18: the environment is checked before the configuration", async (t) => {
  t.equal((await ask({ CNI_COMMAND: "ADD" }, "garbage")).json?.code, 4);
});

for (const [row, text, want] of [
  ["68: a known key", "K8S_POD_NAME=p", { K8S_POD_NAME: "p" }],
  ["69: an unknown key alone", "BAR=1", { BAR: "1" }],
  ["70: IgnoreUnknown=1 first", "IgnoreUnknown=1;BAR=1", { IgnoreUnknown: "1", BAR: "1" }],
  ["70: IgnoreUnknown=true last", "BAR=1;IgnoreUnknown=true", { IgnoreUnknown: "true", BAR: "1" }],
  ["70: IgnoreUnknown=True", "IgnoreUnknown=True;BAR=1", { IgnoreUnknown: "True", BAR: "1" }],
  ["71: IgnoreUnknown=0 with a key that others do not know", "IgnoreUnknown=0;BAR=1", { IgnoreUnknown: "0", BAR: "1" }],
  ["72: a value with =", "FOO=a=b", { FOO: "a=b" }],
  ["73: an empty piece", ";", {}],
  ["73: a semicolon at the end", "FOO=1;", { FOO: "1" }],
  ["73: a piece without = when unknown is ignored", "FOO;IgnoreUnknown=1", { IgnoreUnknown: "1" }],
  ["74: an empty value", "FOO=", { FOO: "" }],
  ["75: a key given twice", "K=1;K=2", { K: "2" }],
  ["75: what thin Multus sends", "IgnoreUnknown=true;K8S_POD_NAME=p;IgnoreUnknown=1;K8S_POD_NAME=p", { IgnoreUnknown: "1", K8S_POD_NAME: "p" }],
  ["76: containerd's keys in another order, without the UID", "K8S_POD_NAME=p;IgnoreUnknown=1;K8S_POD_NAMESPACE=d", { K8S_POD_NAME: "p", IgnoreUnknown: "1", K8S_POD_NAMESPACE: "d" }],
  ["77: nothing", "", {}],
  ["73: a piece without a key when unknown is ignored", "=1;IgnoreUnknown=1", { IgnoreUnknown: "1" }],
  ["78: a key that every object has", "__proto__=1;IgnoreUnknown=1", { ["__proto__"]: "1", IgnoreUnknown: "1" }],
] as const) // biome-ignore format: rows
  t.test(`readRequest() ${row} in CNI_ARGS is accepted`, async (t) => {
    t.same((await call("ADD", CONFIG, { CNI_ARGS: text })).call?.args, want);
  });

for (const [row, text] of [
  ["71: IgnoreUnknown=yes", "IgnoreUnknown=yes"],
  ["73: a piece without =", "FOO"],
  ["73: a piece without = although IgnoreUnknown=0", "FOO;IgnoreUnknown=0"],
] as const)
  t.test(`readRequest() ${row} in CNI_ARGS is error 4, but DEL cleans up all the same`, async (t) => {
    for (const verb of ["ADD", "CHECK"])
      t.match((await call(verb, CONFIG, { CNI_ARGS: text })).json, { code: 4, msg: /CNI_ARGS/ }, verb);
    t.equal((await call("DEL", CONFIG, { CNI_ARGS: text })).exit, 0);
  });

t.test("readRequest() 119: CNI_PATH is a list of directories, in order, without empty ones", async (t) => {
  t.same((await call("ADD", CONFIG, { CNI_PATH: "/a:/b::/c" })).call?.path, ["/a", "/b", "/c"]);
});

const LISTED = [{ containerID: "c1", ifname: "net1" }];
for (const [row, given, want] of [
  ["105: the list", { "cni.dev/valid-attachments": LISTED }, LISTED],
  ["105: the draft's key beside it", { "cni.dev/valid-attachments": LISTED, "cni.dev/attachments": [] }, LISTED],
  ["105: the draft's key alone", { "cni.dev/attachments": LISTED }, undefined],
  ["105: the list with keys in another case", { "CNI.dev/Valid-Attachments": [{ containerid: "c1", ifName: "net1" }] }, LISTED],
  ["107: an empty list", { "cni.dev/valid-attachments": [] }, []],
  ["108: no key", {}, undefined],
  ["108: null", { "cni.dev/valid-attachments": null }, undefined],
] as const) // biome-ignore format: rows
  t.test(`readRequest() ${row} of valid attachments`, async (t) => {
    const { call: got } = await call("GC", { ...CONFIG, ...given });
    t.same(got && { valid: got.validAttachments }, { valid: want });
  });

for (const given of [
  {},
  "c1",
  [{ containerID: "c1" }],
  [{ ifname: "net1" }],
  [{ containerID: 1, ifname: "n" }],
  ["c1"],
])
  t.test(
    `readRequest() 105: ${JSON.stringify(given)} as valid attachments is error 6, never an empty list`,
    async (t) => {
      const { json, call: got } = await call("GC", { ...CONFIG, "cni.dev/valid-attachments": given });
      t.match({ code: json?.code, got }, { code: 6, got: undefined });
    },
  );

t.test("readRequest() 105: only GC looks at the valid attachments", async (t) => {
  const { call: got, exit } = await call("ADD", { ...CONFIG, "cni.dev/valid-attachments": "odd" });
  t.same({ exit, valid: got?.validAttachments }, { exit: 0, valid: undefined });
});
