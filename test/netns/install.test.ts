import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { must, pause, type Ran, start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create();
t.teardown(() => world.close());
const FULL_BYTES = 12 << 20;
const dist = resolve(import.meta.dirname, "../../dist");

/** Two versions: real shims with a word behind, and stand-ins for the full executables, which nothing runs here. */
const [oldVersion, newVersion] = ["old", "new"].map((name) => {
  const dir = join(world.dir, name);
  fs.mkdirSync(dir);
  fs.writeFileSync(join(dir, "railnet"), name.repeat(FULL_BYTES / name.length));
  fs.writeFileSync(
    join(dir, "railnet-shim"),
    Buffer.concat([fs.readFileSync(join(dist, "railnet-shim")), Buffer.from(name)]),
    { mode: 0o755 },
  );
  return dir;
}) as [string, string];

let number = 0;
const newRoot = (): string => {
  const root = join(world.dir, `root${number++}`);
  fs.mkdirSync(join(root, "opt/cni/bin"), { recursive: true });
  fs.writeFileSync(join(root, "opt/cni/bin/sriov"), "somebody's sriov", { mode: 0o755 });
  return root;
};

const install = (root: string, from: string, ...args: string[]) =>
  start(world.executable, ["install", "--root", root, "--from", from, "--alias", "sriov", ...args], { env: world.env });

const hash = (path: string): string => createHash("sha256").update(fs.readFileSync(path)).digest("hex");
const filesOf = (root: string): Record<string, string> =>
  Object.fromEntries(
    fs
      .readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => join(entry.parentPath, entry.name))
      .sort()
      .map((path) => [path.slice(root.length + 1), hash(path)]),
  );

/** What a version installed looks like. */
function installed(from: string): Record<string, string> {
  const [full, shim] = ["railnet", "railnet-shim"].map((name) => hash(join(from, name))) as [string, string];
  return {
    "etc/railnet/node.json": createHash("sha256").update('{\n  "managedBy": "railnet install"\n}\n').digest("hex"),
    "opt/cni/bin/railnet-ipam": shim,
    "opt/cni/bin/railnet-sriov": shim,
    "opt/cni/bin/sriov": shim,
    "opt/railnet/bin/railnet": full,
    "opt/railnet/bin/railnet-shim": shim,
    "opt/railnet/replaced/sriov": createHash("sha256").update("somebody's sriov").digest("hex"),
  };
}
const isTemporary = (path: string): boolean => path.endsWith(".railnet-new");
const [before, after] = [installed(oldVersion), installed(newVersion)];

t.test("railnet install puts a version on the node, and the next one; a second run only looks", async (t) => {
  const root = newRoot();
  t.match(await install(root, oldVersion), { exit: 0, stdout: `installed  ${root}/opt/railnet/bin/railnet\n` });
  t.same(filesOf(root), before);
  t.equal((await install(root, newVersion)).exit, 0);
  t.same(filesOf(root), after);
  t.match(await install(root, newVersion), { exit: 0, stdout: "nothing to do: this version is installed\n" });
});

const STEPS = ["railnet", "railnet-shim", "railnet-sriov", "railnet-ipam", "sriov"].flatMap((name) => [
  `install-${name}-written`,
  `install-${name}-placed`,
]);

for (const step of STEPS)
  t.test(
    `railnet install that is killed at ${step} leaves whole files of either version, and the next run completes it`,
    async (t) => {
      const root = newRoot();
      await install(root, oldVersion);
      world.faults(`${step} kill`);
      t.equal((await install(root, newVersion)).signal, "SIGKILL");
      world.faults();
      t.same(torn(root), []);
      t.equal((await install(root, newVersion)).exit, 0);
      t.same(filesOf(root), after);
    },
  );

t.test("railnet install that is killed at any time leaves whole files, and the next run completes it", async (t) => {
  const root = newRoot();
  await install(root, oldVersion);
  const { ms } = await install(newRoot(), newVersion);
  const seen = new Set<string>();
  for (let i = 0; i < 12; i++) {
    const running = install(root, i % 2 === 0 ? newVersion : oldVersion);
    await pause((ms * (i + 0.5)) / 12);
    running.kill("SIGKILL");
    await running;
    t.same(torn(root), []);
    seen.add(JSON.stringify(filesOf(root)));
  }
  t.comment(`${seen.size} different states seen`);
  t.equal((await install(root, newVersion)).exit, 0);
  t.same(filesOf(root), after);
});

t.test("two railnet install at once: one waits for the other", async (t) => {
  const root = newRoot();
  const both = await Promise.all([install(root, newVersion), install(root, newVersion)]);
  t.same(
    both.map(({ exit }) => exit),
    [0, 0],
  );
  t.equal(both.filter(({ stdout }) => stdout.startsWith("nothing to do")).length, 1);
  t.same(filesOf(root), after);
});

t.test("railnet install on a full disk says so, and what was there stays", async (t) => {
  const root = newRoot();
  const size = fs.statSync(join(oldVersion, "railnet")).size;
  await must("mount", ["-t", "tmpfs", "-o", `size=${Math.ceil(size * 1.5)}`, "tmpfs", root]);
  t.teardown(() => must("umount", [root]));
  t.equal((await install(root, oldVersion)).exit, 0);
  const whole = filesOf(root);
  const { exit, stderr } = await install(root, newVersion);
  t.equal(exit, 1);
  t.match(stderr, `railnet: cannot put ${root}/opt/railnet/bin/railnet in its place: ENOSPC`);
  t.same(filesOf(root), whole, "whole, old, and no temporary file");
});

t.test("railnet agent --install on a full disk serves, and installs once there is room", (t) =>
  unchanged(t, world, "alone", async () => {
    const root = newRoot();
    const size = fs.statSync(join(newVersion, "railnet")).size;
    await must("mount", ["-t", "tmpfs", "-o", `size=${Math.ceil(size * 1.2)}`, "tmpfs", root]);
    t.teardown(() => must("umount", [root]));
    fs.writeFileSync(join(root, "large"), Buffer.alloc(size >> 1));
    const agent = await world.startAgent(9808, {}, ["--install", "--root", root, "--from", newVersion]).ready();
    t.match(agent.log, "cannot install on this node yet");
    t.match(agent.log, "ENOSPC");
    fs.rmSync(join(root, "large"));
    const want = join(root, "opt/cni/bin/railnet-ipam");
    await until("the agent has installed", () => fs.existsSync(want));
    t.equal(hash(join(root, "opt/railnet/bin/railnet")), hash(join(newVersion, "railnet")));
    t.match(await agent.end(), { exit: 0 });
  }),
);

t.test("railnet agent --install installs once it is the only agent, and takes nothing away when it stops", (t) =>
  unchanged(t, world, "alone", async () => {
    const root = newRoot();
    const args = (from: string) => ["--install", "--root", root, "--from", from, "--alias", "sriov"];
    fs.chmodSync(world.runDir, 0o755); // as the kubelet makes it
    const first = await world.startAgent(9808, {}, args(oldVersion)).ready();
    t.equal((fs.statSync(world.runDir).mode & 0o777).toString(8), "700", "the socket's directory is root's alone");
    t.same(filesOf(root), before);
    const second = world.startAgent(9808, {}, args(newVersion));
    await until("the second waits", () => second.log.includes("another agent runs on this node"));
    await pause(300);
    t.same(filesOf(root), before, "the old agent's version as long as it serves");
    await first.end();
    await second.ready();
    t.same(filesOf(root), after);
    await second.end();
    t.same(filesOf(root), after);
  }),
);

t.test("railnet uninstall refuses while pods have VFs, and names them; then takes everything away", (t) =>
  unchanged(t, world, "alone", async () => {
    const root = newRoot();
    const theirs = filesOf(root);
    await install(root, newVersion);
    const pod = await world.pod();
    const a = world.attachment(pod);
    t.equal((await world.call("alone", "ADD", a)).exit, 0);
    const uninstall = (...args: string[]): Promise<Ran> =>
      start(world.executable, ["uninstall", "--root", root, ...args], { env: world.env });
    const refused = await uninstall();
    t.equal(refused.exit, 1);
    t.match(refused.stderr, `attachments live (1): container ${a.id} (net1); delete these pods first`);
    t.same(filesOf(root), after);
    t.equal((await world.call("alone", "DEL", a)).exit, 0);
    const done = await uninstall();
    t.match(done, { exit: 0, stdout: `removed  ${root}/opt/cni/bin/sriov` });
    t.same(filesOf(root), theirs, "and somebody's sriov is back");
    t.notOk(fs.existsSync(world.stateDir), "and nothing is remembered");
    t.match(await uninstall(), { exit: 0, stdout: "nothing to do: Railnet is not installed\n" });
    await world.removePod(pod);
  }),
);

t.test("railnet uninstall refuses while an agent runs; --force does it all the same", (t) =>
  unchanged(t, world, "shim", async () => {
    const root = newRoot();
    await install(root, newVersion);
    const uninstall = (...args: string[]): Promise<Ran> =>
      start(world.executable, ["uninstall", "--root", root, ...args], { env: world.env });
    t.match(await uninstall(), { exit: 1, stderr: /an agent is running here .* delete its DaemonSet first/ });
    t.same(filesOf(root), after);
    t.equal((await uninstall("--force")).exit, 0);
    t.notOk(fs.existsSync(join(root, "opt/railnet")));
    await world.noAgent();
  }),
);

/** Files that are of neither version, but for temporary ones that nobody runs. */
function torn(root: string): string[] {
  const allowed = (path: string, found: string) => [before[path], after[path]].includes(found);
  const missing = Object.keys(before).filter((path) => !fs.existsSync(join(root, path)));
  const broken = Object.entries(filesOf(root)).filter(([path, found]) => !isTemporary(path) && !allowed(path, found));
  return [...missing, ...broken.map(([path]) => path)];
}
