import { existsSync, mkdirSync, readdirSync, statSync, writeFileSync } from "node:fs";
import { basename, dirname } from "node:path";
import t from "tap";
import { ClaimJournal } from "../../../ipam/journal.ts";
import { DirectoryStore } from "../../../ipam/store/directory.ts";
import { ipam } from "../../cluster/commands/support/railnet.ts";

const root = `${t.testdir({})}/addresses`;
const store = new DirectoryStore(root, async () => ({ [Symbol.dispose]() {} }));
const pool = (network: string, name: string, cidr: string) => ({ network, name, cidr, overlapping: true });
const RAIL = pool("rail0", "rail0-10.0.0.0-24", "10.0.0.0/24");
const PLAIN = pool("", "10.9.0.0-24", "10.9.0.0/24");
const owner = (name: string, ifname = "net1") => ({
  podref: `default/${name}`,
  ifname,
  containerId: `c-${name}`,
  node: "host",
});
for (const [where, ip, who] of [
  [RAIL, "10.0.0.10", owner("b")],
  [RAIL, "10.0.0.9", owner("a")],
  [PLAIN, "10.9.0.1", owner("a", "net2")],
] as const) // biome-ignore format: rows
  await store.claim({ pool: where, ip, owner: who });
const run = (...args: string[]) => ipam([...args, "--json", "--directory", root]);
const files = (network: string): string[] =>
  readdirSync(`${root}/network-${network}`).filter((name) => name.endsWith(".json"));

t.test("railnet ipam list, who, show and stats read a directory", async (t) => {
  const list = (await run("list")).json;
  t.same(
    list.map(({ ip, network, pool, podref, ifname, node, by }: Record<string, string>) => [ip, network, pool, podref, ifname, node, by]),
    [
      ["10.0.0.9", "rail0", RAIL.name, "default/a", "net1", "host", "file"],
      ["10.0.0.10", "rail0", RAIL.name, "default/b", "net1", "host", "file"],
      ["10.9.0.1", "", PLAIN.name, "default/a", "net2", "host", "file"],
    ],
  ); // biome-ignore format: rows
  t.same(
    (await run("who", "default/a")).json.map(({ ip }: { ip: string }) => ip),
    ["10.0.0.9", "10.9.0.1"],
  );
  t.match((await run("show", "10.0.0.10")).json, [
    { network: "rail0", reservation: null, records: [{ podref: "default/b", containerId: "c-b" }] },
  ]);
  t.match((await run("stats")).json, { nodes: [{ node: "host", used: 3 }], pools: [{ used: 1 }, { used: 2 }] });
});

t.test("railnet ipam finds a directory by a relative path of its caller", async (t) => {
  const { json } = await ipam(["list", "--json", "--directory", basename(root)], {
    cwd: "/",
    env: { PWD: dirname(root) },
  });
  t.equal(json.length, 3);
});

t.test("railnet ipam explain asks a directory", async (t) => {
  const config = {
    cniVersion: "1.0.0",
    name: "rail0",
    ipam: { type: "railnet-ipam", range: "10.0.0.0/24", range_start: "10.0.0.9", network_name: "rail0" },
  };
  const { json } = await ipam(["explain", "--config", "-", "--json", "--directory", root], {
    input: JSON.stringify(config),
  });
  t.match(json, [
    { ip: "10.0.0.11", skipped: [{ ip: "10.0.0.9", why: "default/a (net1) on host has it" }, { ip: "10.0.0.10" }] },
  ]);
});

t.test("railnet ipam release refuses a sandbox that lives, by the journal", async (t) => {
  const state = t.testdir({ netns: "" });
  const record = (netnsInode: number) =>
    new ClaimJournal(state).write({
      ...{ version: 1, phase: "held", network: "rail0", storage: { kind: "directory", path: root }, owner: owner("b") },
      ...{
        netns: `${state}/netns`,
        netnsInode,
        since: new Date().toISOString(),
        addresses: [{ pool: RAIL, ip: "10.0.0.10" }],
      },
    });
  record(statSync(`${state}/netns`).ino);
  const args = ["release", "10.0.0.10", "--json", "--directory", root];
  const refused = await ipam(args, { env: { RAILNET_STATE_DIR: state } });
  t.equal(refused.exit, 1);
  t.match(refused.json, [{ outcome: "refused", why: /its sandbox is running/ }]);
  t.same(files("rail0").sort(), ["10.0.0.10.json", "10.0.0.9.json"]);
  record(1); // another namespace under the same path
  t.match((await ipam(args, { env: { RAILNET_STATE_DIR: state } })).json, [{ outcome: "released" }]);
  t.same(files("rail0"), ["10.0.0.9.json"]);
});

t.test("railnet ipam release --pod gives back all of a pod", async (t) => {
  t.equal((await run("release", "--pod", "default/a")).json.length, 2);
  t.same([files("rail0"), files("")], [[], []]);
  t.same((await run("list")).json, []);
});

t.test("railnet ipam audit and takeover are for clusters", async (t) => {
  for (const command of ["audit", "takeover"]) {
    const { exit, stderr } = await run(command);
    t.equal(exit, 1);
    t.match(stderr, /^railnet: cannot .*: that is a directory of one host; give --kubeconfig PATH/);
  }
});

for (const { when, args = [], files = {}, env = {}, want } of [
  { when: "nothing says where", want: /^railnet: cannot tell where addresses are kept: .*give --kubeconfig PATH/ },
  { when: "node.json names a kubeconfig", files: { "node.json": { kubeconfig: "/node-json" } }, env: { KUBECONFIG: "/variable" }, want: /kubeconfig \/node-json/ },
  { when: "KUBECONFIG names one", env: { KUBECONFIG: "/variable:/second" }, want: /kubeconfig \/variable:/ },
  { when: "an option names one", args: ["--kubeconfig", "/option"], files: { "node.json": { kubeconfig: "/node-json" } }, want: /kubeconfig \/option/ },
  { when: "the flat file names one", files: { "node.json": { flatFiles: ["FLAT"] }, FLAT: { kubernetes: { kubeconfig: "/flat" } } }, want: /kubeconfig \/flat/ },
  { when: "node.json is no JSON", files: { "node.json": "{" }, want: /^railnet: cannot use .*node\.json: want a JSON object/ },
] as const) // biome-ignore format: rows
  t.test(`railnet ipam list when ${when}`, async (t) => {
    const dir = t.testdir({});
    mkdirSync(`${dir}/etc`);
    for (const [name, content] of Object.entries(files)) {
      const text = typeof content === "string" ? content : JSON.stringify(content);
      writeFileSync(`${dir}/etc/${name}`, text.replace("FLAT", `${dir}/etc/FLAT`));
    }
    const { exit, stderr } = await ipam(["list", ...args], {
      env: { RAILNET_NODE_CONFIG: `${dir}/etc/node.json`, ...env },
    });
    t.equal(exit, 1);
    t.match(stderr, want);
    t.ok(existsSync(dir));
  });
