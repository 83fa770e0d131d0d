import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { FakeAgent, reply } from "./support/fake-agent.ts";
import { readFull, Shim } from "./support/shim.ts";

const shim = new Shim({ addMs: 3000, otherMs: 3000, refusedMs: 300 });
t.setTimeout(600_000); // a busy machine
t.teardown(() => shim[Symbol.dispose]());
const env = { CNI_COMMAND: "VERSION" };
const needsRoot = process.getuid?.() === 0 || process.env["CI"] ? false : "needs root";

const ok = () => FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "ok")));

t.test("shim runs with an environment of nothing but CNI_ variables", async (t) => {
  await using agent = await ok();
  const run = await shim.run({ shell: 'exec env -i CNI_COMMAND=VERSION CNI_IFNAME=net1 "$SHIM"' });
  t.same([run.exit, run.stdout.toString(), run.stderr], [0, "ok", ""]);
  t.same(agent.requests[0]?.env, ["CNI_COMMAND=VERSION", "CNI_IFNAME=net1"]);
});

t.test("shim does not care for a LD_LIBRARY_PATH with a broken libc, or a LD_PRELOAD", async (t) => {
  writeFileSync(join(shim.dir, "libc.so.6"), "not a library");
  await using _agent = await ok();
  const run = await shim.run({ env: { ...env, LD_LIBRARY_PATH: shim.dir, LD_PRELOAD: join(shim.dir, "libc.so.6") } });
  t.same([run.exit, run.stdout.toString(), run.stderr], [0, "ok", ""]);
});

for (const { closed, exit, stdout } of [
  { closed: "0<&-", exit: 0, stdout: "ok" },
  { closed: "2>&-", exit: 0, stdout: "ok" },
  { closed: "0<&- 2>&-", exit: 0, stdout: "ok" },
  { closed: "1>&-", exit: 0, stdout: "" },
  { closed: "0<&- 1>&- 2>&-", exit: 0, stdout: "" },
])
  t.test(`shim runs with closed descriptors: ${closed}`, async (t) => {
    await using agent = await ok();
    const run = await shim.run({ env, shell: `exec "$SHIM" ${closed}` });
    t.same([run.exit, run.stdout.toString(), run.stderr], [exit, stdout, ""]);
    t.same(agent.requests[0]?.stdin.length, 0, "a closed stdin is an empty one");
  });

t.test("shim gives the full binary an empty stdin when its own is closed", async (t) => {
  const run = await shim.run({ env, shell: 'exec "$SHIM" 0<&-' });
  t.same(readFull(run.stdout)?.stdin.length, 0);
});

t.test("shim answers with code 5 when stdin cannot be read", async (t) => {
  const run = await shim.run({ env, shell: 'exec "$SHIM" < /' });
  t.match(JSON.parse(run.stdout.toString()), { code: 5, msg: /\(EISDIR\)$/ });
});

t.test("shim starts in a directory that has been deleted", async (t) => {
  mkdirSync(join(shim.dir, "gone"));
  const shell = `cd ${shim.dir}/gone; rmdir ../gone; exec "$SHIM"`;
  t.match(readFull((await shim.run({ env, shell })).stdout), { cwd: "/" });
});

t.test("shim leaves SIGPIPE to the full binary as it is by default", async (t) => {
  const full = `#!/bin/sh\ngrep SigIgn: /proc/self/status\n`;
  writeFileSync(shim.path("railnet"), full, { mode: 0o755 });
  execFileSync("mv", [shim.full, `${shim.full}.away`]);
  const run = await shim.run({ env });
  execFileSync("mv", [`${shim.full}.away`, shim.full]);
  t.equal(BigInt(`0x${run.stdout.toString().split("\t")[1]?.trim()}`) & (1n << 12n), 0n);
});

t.test("shim runs as a delegate of a thick Multus: chroot without chdir", { skip: needsRoot }, async (t) => {
  const tool = join(shim.dir, "chroot-exec");
  const root = join(shim.dir, "root");
  mkdirSync(root);
  execFileSync("gcc", ["-O1", "-static", "-o", tool, join(import.meta.dirname, "support/chroot-exec.c")]);
  const shell = `exec ${join(import.meta.dirname, "support/thick.sh")} ${root} ${tool} "$SHIM"`;
  {
    await using _agent = await ok();
    const run = await shim.run({ env, shell });
    t.same([run.exit, run.stdout.toString(), run.stderr], [0, "ok", ""], "through the agent");
  }
  const run = await shim.run({ env, shell, stdin: "{}" });
  t.match(readFull(run.stdout), { args: ["railnet-sriov"], cwd: "/" }, "by the full binary");
  t.equal(readFull(run.stdout)?.stdin.toString(), "{}");
});
