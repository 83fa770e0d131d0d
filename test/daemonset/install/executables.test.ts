import * as fs from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { PATHS } from "../../../cni/host.ts";
import { placeExecutables, removeExecutables } from "../../../daemonset/install/executables.ts";
import { install } from "../../../daemonset/install/install.ts";
import { type Alias, installPathsBelow } from "../../../daemonset/install/paths.ts";
import { uninstall } from "../../../daemonset/install/uninstall.ts";

/** A text that only shims have in them; see isShim(). */
const SHIM = "\x7fELF railnet-host-exec 1";
const build = t.testdir({ railnet: "full 1", "railnet-shim": SHIM });
const silent = { debug() {}, info() {}, warn() {} };

/** Files of a tree and what is in them. */
const filesOf = (root: string): Record<string, string> =>
  Object.fromEntries(
    fs
      .readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(root.length + 1), fs.readFileSync(path, "utf8")]),
  );

const OURS = {
  "opt/cni/bin/railnet-ipam": SHIM,
  "opt/cni/bin/railnet-sriov": SHIM,
  "opt/railnet/bin/railnet": "full 1",
  "opt/railnet/bin/railnet-shim": SHIM,
};
const node = (t: Test) => t.testdir({ opt: { cni: { bin: { sriov: "their sriov", bridge: "bridge" } } } });
const THEIRS = { "opt/cni/bin/bridge": "bridge", "opt/cni/bin/sriov": "their sriov" };

t.test(
  "placeExecutables() puts the shim under its two names, the full executable where the shim looks for it",
  async (t) => {
    const root = node(t);
    const changes = placeExecutables(build, installPathsBelow(root), [], () => {});
    t.same(filesOf(root), { ...OURS, ...THEIRS });
    t.same(changes.placed.map((path) => path.slice(root.length + 1)).sort(), Object.keys(OURS).sort());
    t.same(
      placeExecutables(build, installPathsBelow(root), [], () => {}),
      { placed: [], removed: [] },
      "and nothing twice",
    );
  },
);

t.test("placeExecutables() places the full executable first, for no shim to find an older one", async (t) => {
  const steps: string[] = [];
  placeExecutables(build, installPathsBelow(t.testdir({})), ["rdma"], (step) => steps.push(step));
  t.same(steps.filter((step) => step.endsWith("placed")), ["railnet", "railnet-shim", "railnet-sriov", "railnet-ipam", "rdma"].map((name) => `install-${name}-placed`)); // biome-ignore format: one row
});

t.test(
  "placeExecutables() keeps whom an alias replaces, and gives the name back when it is none any more",
  async (t) => {
    const root = node(t);
    const place = (...aliases: Alias[]) => placeExecutables(build, installPathsBelow(root), aliases, () => {});
    const withAliases = {
      ...OURS,
      "opt/cni/bin/bridge": "bridge",
      "opt/cni/bin/rdma": SHIM,
      "opt/cni/bin/sriov": SHIM,
      "opt/railnet/replaced/sriov": "their sriov",
    };
    place("sriov", "rdma");
    t.same(filesOf(root), withAliases);
    place("sriov", "rdma");
    t.same(filesOf(root), withAliases, "the shim that is there now is nobody's to keep");
    t.same(
      place().removed.map((path) => path.slice(root.length + 1)),
      ["opt/cni/bin/sriov", "opt/cni/bin/rdma"],
    );
    t.same(filesOf(root), { ...OURS, ...THEIRS });
  },
);

t.test("placeExecutables() keeps a newer one of theirs, when somebody put it in the alias's place", async (t) => {
  const root = node(t);
  const place = (...aliases: Alias[]) => placeExecutables(build, installPathsBelow(root), aliases, () => {});
  place("sriov");
  fs.writeFileSync(join(root, "opt/cni/bin/sriov"), "their newer sriov");
  place("sriov");
  t.match(filesOf(root), { "opt/cni/bin/sriov": SHIM, "opt/railnet/replaced/sriov": "their newer sriov" });
  place();
  t.equal(filesOf(root)["opt/cni/bin/sriov"], "their newer sriov");
});

t.test("removeExecutables() leaves what was there before, and nothing of ours", async (t) => {
  const root = node(t);
  const places = installPathsBelow(root);
  placeExecutables(build, places, ["sriov", "whereabouts"], () => {});
  removeExecutables(places);
  t.same(filesOf(root), THEIRS);
  t.notOk(fs.existsSync(join(root, "opt/railnet")));
  t.same(removeExecutables(places), { placed: [], removed: [] });
});

t.test("install() names what is missing from the folder that it installs from", async (t) => {
  const from = t.testdir({ railnet: "" });
  t.throws(() => placeExecutables(from, installPathsBelow(from), [], () => {}), {
    message: `cannot install: ${from}/railnet-shim is missing; name a folder that has railnet and railnet-shim, such as dist`,
  });
});

t.test(
  "install() writes node.json before a shim is there, which would otherwise keep addresses on this node",
  async (t) => {
    const root = node(t);
    const steps: string[] = [];
    install({ root, from: build, aliases: ["whereabouts"], node: "node-a", step: (step) => steps.push(step) }, silent);
    t.ok(steps.indexOf("install-node.json-placed") < steps.indexOf("install-railnet-ipam-written"));
    t.same(JSON.parse(filesOf(root)["etc/railnet/node.json"]!), {
      managedBy: "railnet install",
      node: "node-a",
      kubeconfig: "/etc/railnet/kubeconfig",
      aliases: ["whereabouts"],
    });
  },
);

for (const [whose, text] of [["an administrator's", '{"directory": "/data"}'], ["a broken", "{"]] as const) // biome-ignore format: one row
  t.test(`install() leaves ${whose} node.json as it is`, async (t) => {
    const root = t.testdir({ etc: { railnet: { "node.json": text } } });
    install({ root, from: build, aliases: [], node: "node-a" }, silent);
    t.equal(filesOf(root)["etc/railnet/node.json"], text);
  });

t.test("install() changes a node.json of its own", async (t) => {
  const root = t.testdir({});
  for (const name of ["node-a", "node-b"]) install({ root, from: build, aliases: [], node: name }, silent);
  t.match(JSON.parse(filesOf(root)["etc/railnet/node.json"]!), { node: "node-b" });
});

t.test("uninstall() takes what is ours and can be made again, and leaves records, and what others wrote", async (t) => {
  const root = node(t);
  install({ root, from: build, aliases: ["sriov"], node: "node-a" }, silent);
  const paths = { ...PATHS, stateDir: join(root, "state"), runDir: join(root, "run") };
  const write = (path: string) => {
    fs.mkdirSync(join(root, path, ".."), { recursive: true });
    fs.writeFileSync(join(root, path), path);
  };
  for (const path of ["run/agent.sock", "state/vfs/boot/a.json", "state/standing/deep/a.json", "state/rail-peers.json", "state/attachments/a.json", "etc/railnet/kubeconfig"])
    write(path);
  for (const dir of ["routes", "owed", "ipam", "torn", "addresses"]) fs.mkdirSync(join(root, "state", dir));
  const removed = uninstall(root, paths).map((path) => path.slice(root.length + 1));
  t.same(filesOf(root), { ...THEIRS, "state/attachments/a.json": "state/attachments/a.json" });
  t.same(fs.readdirSync(join(root, "state")), ["attachments"], "what is empty goes, what has records stays");
  t.notOk(fs.existsSync(join(root, "etc/railnet")));
  for (const path of ["opt/cni/bin/sriov", "etc/railnet/node.json", "etc/railnet/kubeconfig"]) t.ok(removed.includes(path), path);
  fs.rmSync(join(root, "state/attachments/a.json"));
  t.same(uninstall(root, paths), [], "again");
  t.notOk(fs.existsSync(join(root, "state")));
}); // biome-ignore format: rows

t.test("uninstall() leaves an administrator's node.json", async (t) => {
  const text = '{"directory": "/data"}';
  const root = t.testdir({ etc: { railnet: { "node.json": text } } });
  t.same(uninstall(root, { ...PATHS, stateDir: join(root, "state"), runDir: join(root, "run") }), []);
  t.same(filesOf(root), { "etc/railnet/node.json": text });
});
