import { readFileSync } from "node:fs";
import t from "tap";
import { ATTACH_CODE } from "../../../cni/codes.ts";
import { CODE } from "../../../cni/protocol/error.ts";
import { factsOf, outcomeOf, verbOf } from "../../../daemonset/calls/facts.ts";
import { failureOf, reasonOf } from "../../../daemonset/calls/failures.ts";
import { logCall } from "../../../daemonset/calls/log-call.ts";

type Line = { level: string; fields: Record<string, unknown>; message: string };
function logger(): {
  log: Record<"debug" | "info" | "warn", (fields: object, message: string) => void>;
  lines: Line[];
} {
  const lines: Line[] = [];
  const at = (level: string) => (fields: object, message: string) =>
    void lines.push({ level, fields: fields as Line["fields"], message });
  return { lines, log: { debug: at("debug"), info: at("info"), warn: at("warn") } };
}

const request = (verb: string, name = "railnet-sriov") => ({
  name,
  env: {
    CNI_COMMAND: verb,
    CNI_CONTAINERID: "c1",
    CNI_IFNAME: "net1",
    CNI_ARGS: "K8S_POD_NAMESPACE=ns;K8S_POD_NAME=a=b;K8S_POD_UID=u",
  },
  stdin: JSON.stringify({ name: "rail0", deviceID: "0000:18:00.1", secret: "s3cret" }),
});
const ok = { exit: 0, stdout: "{}", stderr: "" };
const bad = { exit: 1, stdout: '{"code":102,"msg":"in use","details":"undo failed too"}', stderr: "" };

t.test("failureOf() knows every code that we answer, each by a name of its own", async (t) => {
  const codes = [...Object.values(CODE), ...Object.values(ATTACH_CODE)].filter(
    (code) => code !== CODE.UNSUPPORTED_FIELD,
  );
  const names = new Set(codes.map(reasonOf));
  t.equal(names.size, new Set(codes).size);
  t.notOk(names.has("other"));
  for (const name of names) t.match(name, /^[a-z][a-z_]*$/);
  t.equal(failureOf(4711).name, "other");
  t.equal(reasonOf(0), "ok");
  const readme = readFileSync(new URL("../../../daemonset/metrics/README.md", import.meta.url), "utf8");
  for (const code of codes) t.match(readme, `\`${reasonOf(code)}\` ${code}`, `${code} is documented`);
});

t.test("factsOf() reads what a call says of itself, and nothing of what is broken", async (t) => {
  t.match(factsOf(request("ADD")), {
    plugin: "railnet-sriov",
    verb: "ADD",
    pod: { namespace: "ns", name: "a=b", uid: "u" },
    network: "rail0",
    pci: "0000:18:00.1",
  });
  for (const stdin of ["", "null", "[1]", "{", '{"name":5,"deviceID":{}}'])
    t.match(factsOf({ name: "whereabouts", env: {}, stdin }), {
      plugin: "railnet-ipam",
      verb: "other",
      network: "",
      pci: "",
    });
  t.equal(verbOf(request("BREW")), "other", "nobody makes counters at will");
});

t.test("logCall() names the caller's trace, when it is one", async (t) => {
  const trace = "0af7651916cd43dd8448eb211c80319c";
  for (const [text, want] of [
    [`00-${trace}-b7ad6b7169203331-01`, trace],
    ["00-1-2-01", undefined],
  ] as const) {
    // biome-ignore format: rows
    const { log, lines } = logger();
    const { env, ...rest } = request("ADD");
    logCall(log, { ...rest, env: { ...env, TRACEPARENT: text, BAGGAGE: "key=s3cret" } }, ok, { ms: 1 });
    t.equal(lines[0]!.fields.trace_id, want);
    t.notMatch(JSON.stringify(lines), /s3cret/, "what comes with it is not logged");
  }
});

t.test("outcomeOf() is a code and a message for whatever comes", async (t) => {
  t.same(outcomeOf(ok), { code: 0, message: "" });
  t.same(outcomeOf(bad), { code: 102, message: "in use; undo failed too" });
  for (const stdout of ["", "boom", "null", '{"code":0}', '{"code":1.5}'])
    t.equal(outcomeOf({ exit: 1, stdout, stderr: "" }).code, 100, stdout);
});

for (const { when, verb, response, isPart, want } of [
  { when: "an ADD", verb: "ADD", response: ok, isPart: false, want: "info done" },
  { when: "a DEL", verb: "DEL", response: ok, isPart: false, want: "info done" },
  { when: "a STATUS", verb: "STATUS", response: ok, isPart: false, want: "debug done" },
  { when: "a part of an ADD", verb: "ADD", response: ok, isPart: true, want: "debug done" },
  { when: "an ADD that failed", verb: "ADD", response: bad, isPart: false, want: "warn failed" },
  { when: "a STATUS that failed", verb: "STATUS", response: bad, isPart: false, want: "warn failed" },
  { when: "a part that failed", verb: "ADD", response: bad, isPart: true, want: "debug failed" },
])
  t.test(`logCall() writes one line for ${when}, at the right level`, async (t) => {
    const { log, lines } = logger();
    logCall(log, request(verb), response, { ms: 12.345, step: "add-moved", rail: "ens1", isPart });
    t.same(
      lines.map(({ level, message }) => `${level} ${message}`),
      [want],
    );
    t.match(lines[0]!.fields, {
      ...{ plugin: "railnet-sriov", verb, pod: "ns/a=b", containerID: "c1", ifname: "net1", network: "rail0" },
      ...{ rail: "ens1", pci: "0000:18:00.1", step: "add-moved", ms: 12.3, code: response === ok ? 0 : 102 },
    });
    t.notMatch(JSON.stringify(lines), /s3cret/, "the configuration is not logged");
  });
