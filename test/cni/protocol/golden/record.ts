// Records what the reference library does: `go build -o /tmp/reference .` in reference/, then `node record.ts /tmp/reference`.
import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import type { Result } from "../../../../cni/protocol/result.ts";
import { SUPPORTED_VERSIONS } from "../../../../cni/protocol/version.ts";

/** One call, and what the reference answers: `answer` is its stdout, decoded. */
export interface Golden {
  readonly name: string;
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
  /** What ADD had to say, in the internal form; only the link by default. */
  readonly result?: Result;
  readonly exit: number;
  readonly answer: Readonly<Record<string, unknown>> | null;
}
type Case = Omit<Golden, "exit" | "answer">;

const BASE = { CNI_CONTAINERID: "c1", CNI_NETNS: "/run/netns/none", CNI_IFNAME: "net1", CNI_PATH: "/opt/cni/bin" };
const CONF = '{"cniVersion":"1.1.0","name":"n","type":"ref"}';
const WITH_PREV = (cniVersion: string, prevResult: unknown) => JSON.stringify({ cniVersion, name: "n", prevResult });

const LINK = { name: "net1", mac: "02:00:00:00:00:01", mtu: 9000, sandbox: "/run/netns/none", pciID: "0000:08:00.2" };
const ONLY_LINK = { interfaces: [LINK], ips: [], routes: [], dns: {} };
const EVERYTHING = {
  interfaces: [LINK, { name: "net2", socketPath: "/run/vhost.sock" }],
  ips: [
    { address: "192.168.0.5/31", interface: 0, gateway: "192.168.0.4" },
    { address: "fd00::5/64", interface: 0 },
    { address: "192.168.0.7/31", interface: 1 },
  ],
  routes: [
    { dst: "192.168.0.0/16", gw: "192.168.0.4", mtu: 9000, advmss: 8960, priority: 5, table: 101, scope: 0 },
    { dst: "::/0", gw: "fd00::1" },
    { dst: "0.0.0.0/0" },
  ],
  dns: { nameservers: ["10.0.0.53"], domain: "a.b", search: ["b"], options: ["ndots:2"] },
};

const add = (number: number, what: string, stdin: string, env: Record<string, string> = {}): Case => ({
  name: `case ${number}: ${what}`,
  env: { CNI_COMMAND: "ADD", ...BASE, ...env },
  stdin,
});
const verb = (number: number, what: string, env: Record<string, string>, stdin = CONF): Case => ({
  name: `case ${number}: ${what}`,
  env,
  stdin,
});
const without = (command: string, ...names: string[]) => ({
  CNI_COMMAND: command,
  ...Object.fromEntries(Object.entries(BASE).filter(([name]) => !names.includes(name))),
});

const CASES: readonly Case[] = [
  verb(1, "no CNI_COMMAND", {}),
  verb(1, "an empty CNI_COMMAND, others set", { CNI_COMMAND: "", ...BASE }),
  verb(2, "an unknown verb", without("FOO")),
  verb(3, "a verb in lower case", without("add")),
  verb(4, "ADD with nothing else", { CNI_COMMAND: "ADD" }),
  verb(5, "ADD without CNI_NETNS", without("ADD", "CNI_NETNS")),
  verb(6, "ADD without CNI_PATH", without("ADD", "CNI_PATH")),
  verb(7, "ADD without CNI_IFNAME", without("ADD", "CNI_IFNAME")),
  verb(8, "ADD without CNI_CONTAINERID", without("ADD", "CNI_CONTAINERID")),
  verb(9, "CHECK without CNI_NETNS", without("CHECK", "CNI_NETNS")),
  verb(10, "DEL without CNI_NETNS", without("DEL", "CNI_NETNS")),
  verb(11, "DEL with an empty CNI_NETNS", { ...without("DEL"), CNI_NETNS: "" }),
  verb(12, "DEL without CNI_CONTAINERID", without("DEL", "CNI_CONTAINERID")),
  verb(13, "DEL without CNI_IFNAME", without("DEL", "CNI_IFNAME")),
  verb(14, "DEL without CNI_PATH", without("DEL", "CNI_PATH")),
  ...["GC", "STATUS"].flatMap((command) => [
    verb(15, `${command} without CNI_PATH`, { CNI_COMMAND: command }),
    verb(15, `${command} with CNI_PATH alone`, { CNI_COMMAND: command, CNI_PATH: "/x" }),
    verb(15, `${command} with the others empty`, {
      CNI_COMMAND: command,
      CNI_PATH: "/x",
      CNI_CONTAINERID: "",
      CNI_NETNS: "",
      CNI_IFNAME: "",
    }),
  ]),
  ...["-c", ".c", "_c", "c/1", "c 1", "c\n", "é", "a.b-c_d", "c", "a".repeat(300)].map((id) =>
    add(16, `container ID ${JSON.stringify(id.slice(0, 12))}`, CONF, { CNI_CONTAINERID: id }),
  ),
  ...[
    "abcdefghijklmno",
    "abcdefghijklmnop",
    "é€é€é",
    "é€é€éé€",
    ".",
    "..",
    "a/b",
    "a:b",
    "a b",
    "a\tb",
    "a\u00a0b",
  ].map((name) => add(17, `interface name ${JSON.stringify(name)}`, CONF, { CNI_IFNAME: name })),
  ...["a\u0085b", "a\u2003b", "a\ufeffb", "net1@x", "..."].map((name) =>
    add(17, `interface name ${JSON.stringify(name)}`, CONF, { CNI_IFNAME: name }),
  ),
  verb(18, "missing environment and garbage on stdin", without("ADD", "CNI_NETNS"), "garbage"),
  add(21, "unknown CNI_ variables", CONF, { CNI_VERSION: "0.1.0", CNI_FOO: "bar" }),
  add(22, "empty stdin", ""),
  add(23, "an object that does not end", "{"),
  add(24, "a list", "[]"),
  add(25, "null", "null"),
  add(26, "an empty object", "{}"),
  add(27, "an empty name", '{"name":""}'),
  ...["a/b", "-a", "a b", "a"].map((name) => add(28, `name ${name}`, JSON.stringify({ cniVersion: "1.1.0", name }))),
  add(29, "a number as name", '{"name":5}'),
  add(30, "bytes after the object", '{"cniVersion":"1.0.0","name":"n"}x'),
  add(30, "a second object", '{"cniVersion":"1.0.0","name":"n"}{}'),
  add(30, "white space after the object", '{"cniVersion":"1.0.0","name":"n"}\n \t'),
  add(31, "a number as cniVersion", '{"cniVersion":1,"name":"n"}'),
  add(32, "no cniVersion", '{"name":"n"}'),
  add(32, "an empty cniVersion", '{"cniVersion":"","name":"n"}'),
  ...["1.2.0", "9.9.9", "0.3", "1.1.0 ", "v1.1.0"].map((v) =>
    add(33, `cniVersion "${v}"`, `{"cniVersion":"${v}","name":"n"}`),
  ),
  add(
    34,
    "unknown keys",
    '{"cniVersion":"1.1.0","name":"n","deviceID":"x","capabilities":{"mac":true},"cni.dev/x":[1],"ipam":{"a":1}}',
  ),
  add(
    34,
    "null for every key with a form",
    '{"cniVersion":"1.1.0","name":"n","type":null,"ipam":null,"dns":null,"prevResult":null}',
  ),
  add(34, "ipam that is a string", '{"cniVersion":"1.1.0","name":"n","ipam":"x"}'),
  add(34, "dns that is a list", '{"cniVersion":"1.1.0","name":"n","dns":[]}'),
  add(35, "keys in upper case", '{"CNIVERSION":"1.0.0","NAME":"n"}'),
  add(35, "a key twice", '{"cniVersion":"0.1.0","name":"n","name":"m","cniVersion":"1.0.0"}'),
  verb(42, "VERSION with nothing else", { CNI_COMMAND: "VERSION" }, ""),
  verb(42, "VERSION with garbage on stdin", { CNI_COMMAND: "VERSION" }, "garbage"),
  verb(42, "VERSION with an older version on stdin", { CNI_COMMAND: "VERSION" }, '{"cniVersion":"0.4.0"}'),
  ...SUPPORTED_VERSIONS.flatMap((v) => [
    { ...add(45, `a full result in ${v}`, JSON.stringify({ cniVersion: v, name: "n" })), result: EVERYTHING },
    { ...add(46, `a result without address in ${v}`, JSON.stringify({ cniVersion: v, name: "n" })), result: ONLY_LINK },
    verb(96, `CHECK in ${v}`, without("CHECK"), WITH_PREV(v, { cniVersion: v, ip4: { ip: "10.0.0.2/24" } })),
    verb(105, `GC in ${v}`, without("GC"), JSON.stringify({ cniVersion: v, name: "n" })),
    verb(114, `STATUS in ${v}`, without("STATUS"), JSON.stringify({ cniVersion: v, name: "n" })),
  ]),
  verb(97, "CHECK in an unknown version", without("CHECK"), WITH_PREV("1.2.0", {})),
  ...prevResults(),
  ...["K8S_POD_NAME=p", "IgnoreUnknown=1;FOO=a", ""].map((args) => cniArgs(68, args)),
  ...["BAR=1"].map((args) => cniArgs(69, args)),
  ...["IgnoreUnknown=1;BAR=1", "BAR=1;IgnoreUnknown=true", "IgnoreUnknown=True;BAR=1"].map((args) => cniArgs(70, args)),
  ...["IgnoreUnknown=0;BAR=1", "IgnoreUnknown=yes", "IgnoreUnknown="].map((args) => cniArgs(71, args)),
  ...["FOO=a=b", "IgnoreUnknown=1;FOO=a=b"].map((args) => cniArgs(72, args)),
  ...["FOO", ";", "FOO=1;", "=1", "IgnoreUnknown=1;BAR"].map((args) => cniArgs(73, args)),
  ...["FOO="].map((args) => cniArgs(74, args)),
  ...["FOO=1;FOO=2", "IgnoreUnknown=true;BAR=1;IgnoreUnknown=1;BAR=1"].map((args) => cniArgs(75, args)),
];

function cniArgs(number: number, args: string): Case {
  return add(number, `CNI_ARGS ${JSON.stringify(args)}`, CONF, { CNI_ARGS: args });
}

/** What comes out of a chain's earlier result, in the same version. */
function prevResults(): Case[] {
  const lists = {
    interfaces: [LINK],
    ips: [
      { version: "4", address: "10.0.0.5/24", gateway: "10.0.0.1", interface: 0 },
      { version: "6", address: "FD00:0::5/64" },
    ],
    routes: [{ dst: "0.0.0.0/0", gw: "10.0.0.1", mtu: 1400, table: 0 }, { dst: "10.1.2.3/8" }],
    dns: { nameservers: ["10.0.0.53"] },
    unknown: 1,
  };
  const families = {
    ip4: { ip: "10.0.0.5/24", gateway: "10.0.0.1", routes: [{ dst: "0.0.0.0/0" }] },
    ip6: { ip: "fd00::5/64", routes: [] },
    dns: { search: ["b"] },
  };
  const with1 = (prevResult: unknown, what: string) => add(54, `prevResult ${what}`, WITH_PREV("1.1.0", prevResult));
  return [
    ...SUPPORTED_VERSIONS.map((v) =>
      add(53, `prevResult in ${v}`, WITH_PREV(v, { cniVersion: v, ...(v < "0.3.0" ? families : lists) })),
    ),
    add(54, "prevResult of another version", WITH_PREV("1.0.0", { cniVersion: "0.4.0", ips: [] })),
    with1({ ips: [{ address: "10.0.0.5/24" }] }, "without cniVersion"),
    with1({ interfaces: null, ips: null, routes: null, dns: null }, "of nulls"),
    with1({}, "that is empty"),
    with1("x", "that is a string"),
    with1([], "that is a list"),
    with1({ ips: {} }, "whose ips are an object"),
    with1({ interfaces: [{ name: 5 }] }, "with a number as interface name"),
    ...[
      "10.0.0.5",
      "10.0.0.05/24",
      "10.0.0.5/33",
      "10.0.0.5/024",
      "fd00::g/64",
      "10.0.0.5/24/24",
      "",
      "fe80::1%eth0/64",
      "::ffff:10.0.0.5/120",
    ].map((address) => with1({ ips: [{ address }] }, `with address "${address}"`)),
    with1({ ips: [{ address: "10.0.0.5/24", gateway: "10.0.0.01" }] }, "with a leading zero in the gateway"),
    with1({ routes: [{ dst: "10.0.0.0" }] }, "with a route without prefix length"),
    with1({ ips: [{ address: "10.0.0.5/24", interface: "0" }] }, "with a string as interface index"),
    with1({ ips: [{ address: "10.0.0.5/24", interface: 1.5 }] }, "with a fraction as interface index"),
  ];
}

const [reference] = process.argv.slice(2);
if (!reference) throw new Error("cannot record: name the reference plugin's executable");
const golden = CASES.map(({ name, env, stdin, result }): Golden => {
  const given = JSON.stringify({ cniVersion: "1.1.0", ...(result ?? ONLY_LINK) });
  const { status, stdout } = spawnSync(reference, { env: { ...env, RESULT: given }, input: stdin, encoding: "utf8" });
  return {
    name,
    env,
    stdin,
    ...(result && { result }),
    exit: status ?? -1,
    answer: stdout ? JSON.parse(stdout) : null,
  };
});
writeFileSync(new URL("skel-1.3.0.jsonl", import.meta.url), golden.map((row) => `${JSON.stringify(row)}\n`).join(""));
