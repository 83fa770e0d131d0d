import { execFileSync } from "node:child_process";
import { closeSync, copyFileSync, mkdirSync, openSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { readError, readFull, Shim } from "./support/shim.ts";

const shim = new Shim();
t.setTimeout(600_000); // a busy machine
t.teardown(() => shim[Symbol.dispose]());
const name = "railnet-host-exec";
const isRoot = process.getuid?.() === 0;
const needsRoot = isRoot || process.env["CI"] ? false : "needs root";

for (const { what, args } of [
  { what: "no binary", args: [] },
  { what: "a relative path", args: ["bin/true"] },
  { what: "an empty path", args: [""] },
])
  t.test(`host-exec refuses ${what} with code 4`, async (t) => {
    const msg = /^cannot run a host binary: want: railnet-host-exec/;
    t.match(readError(await shim.run({ name, args })), { exit: 1, code: 4, msg });
  });

t.test("host-exec sees the files of process 1, in its root, and passes all else on", { skip: needsRoot }, async (t) => {
  const dir = join(shim.dir, "mounted");
  mkdirSync(dir);
  copyFileSync(shim.full, join(dir, "plugin"));
  const shell = `exec unshare -m sh -c 'cd /tmp; mount -t tmpfs t ${dir}; test ! -e ${dir}/plugin && exec "$SHIM" ${dir}/plugin a b'`;
  const run = await shim.run({ name, shell, env: { CNI_COMMAND: "ADD", BUN_X: "kept", FULL_EXIT: "3" }, stdin: "{}" });
  const seen = readFull(run.stdout);
  t.match(seen, { args: [join(dir, "plugin"), "a", "b"], cwd: "/", env: { CNI_COMMAND: "ADD", BUN_X: "kept" } });
  t.same([run.exit, seen?.stdin.toString()], [3, "{}"]);
});

t.test("host-exec stays in the network namespace of its caller", { skip: needsRoot }, async (t) => {
  const inside = await shim.run({ name, shell: 'exec unshare -n "$SHIM" /bin/readlink /proc/self/ns/net' });
  const outside = execFileSync("readlink", ["/proc/self/ns/net"], { encoding: "utf8" });
  t.match(inside.stdout.toString(), /^net:\[\d+\]\n$/);
  t.not(inside.stdout.toString(), outside);
});

t.test("host-exec answers with code 5 when the binary is not there", { skip: needsRoot }, async (t) => {
  const run = await shim.run({ name, args: ["/nowhere"] });
  t.same(readError(run), { exit: 1, code: 5, msg: "cannot run a host binary: /nowhere (ENOENT)" });
});

t.test("host-exec answers with code 5 when it may not enter the namespace", async (t) => {
  const run = await shim.run({ name, shell: 'exec unshare -rm "$SHIM" /bin/true' });
  t.match(readError(run), { exit: 1, code: 5, msg: /^cannot enter .*init: refused \(E(PERM|ACCES)\)$/ });
});

t.test("host-exec waits for a binary that is being written", { skip: needsRoot }, async (t) => {
  const plugin = join(shim.dir, "plugin");
  copyFileSync(shim.full, plugin);
  const fd = openSync(plugin, "r+");
  setTimeout(() => closeSync(fd), 500);
  const run = await shim.run({ name, args: [plugin] });
  t.ok(readFull(run.stdout));
  t.ok(run.ms >= 500, `${run.ms.toFixed(0)} ms`);
});

t.test("host-exec escapes what it says", { skip: needsRoot }, async (t) => {
  const path = '/a"b\\c\n\u0001é';
  const { msg } = readError(await shim.run({ name, args: [path] }));
  t.equal(Buffer.from(msg, "latin1").toString(), `cannot run a host binary: ${path} (ENOENT)`);
});
