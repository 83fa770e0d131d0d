import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import t from "tap";
import { until } from "../../../lab/until.ts";
import { FakeAgent, reply } from "./support/fake-agent.ts";
import { readError, readFull, Shim } from "./support/shim.ts";

const REFUSED_MS = 600;
/** With production's limits of the whole. */
const shim = new Shim({ refusedMs: REFUSED_MS });
/** For what happens at the limit of the whole. */
const LIMIT_MS = 2000;
const hasty = new Shim({ addMs: 3000, otherMs: LIMIT_MS, refusedMs: REFUSED_MS });
const log = join(shim.dir, "full.log");
const call = (verb: string, env = {}) => ({ env: { CNI_COMMAND: verb, FULL_LOG: log, ...env }, stdin: "{}" });
const sleep = (ms: number) => new Promise((done) => setTimeout(done, ms));
t.setTimeout(600_000); // a busy machine
t.teardown(() => shim[Symbol.dispose]());
t.teardown(() => hasty[Symbol.dispose]());
t.afterEach(() => {
  for (const file of [shim.socket, shim.lock, hasty.socket, hasty.lock, log]) rmSync(file, { force: true });
});

/** A socket of an agent that is no more: there, and refusing. */
async function leaveSocket(at = shim): Promise<void> {
  await using _agent = await FakeAgent.listen(`${at.socket}.new`, () => {});
  renameSync(`${at.socket}.new`, at.socket);
}

async function holdLock(of = shim): Promise<ChildProcess> {
  const holder = spawn("flock", ["--no-fork", of.lock, "sh", "-c", "echo held; exec sleep 600"]);
  await once(holder.stdout!, "data");
  return holder;
}

for (const verb of ["ADD", "DEL", "VERSION"])
  t.test(`shim becomes the full binary for ${verb} after the agent has refused for the stated time`, async (t) => {
    await leaveSocket();
    const run = await shim.run(call(verb));
    t.match(readFull(run.stdout), { args: ["railnet-sriov"] });
    t.equal(readFull(run.stdout)?.stdin.toString(), "{}");
    t.ok(run.ms >= REFUSED_MS, `${run.ms.toFixed(0)} ms`);
  });

t.test("shim waits 5 s for a refusing agent in production", async (t) => {
  using production = new Shim();
  await leaveSocket(production);
  const { ms, stdout } = await production.run(call("DEL"));
  t.ok(readFull(stdout));
  t.ok(ms >= 5000, `${ms.toFixed(0)} ms`);
});

t.test("limits.h gives ADD 110 s, the other verbs 50 s, and has the paths of a node", async (t) => {
  const input = `#include "limits.h"
    _Static_assert(RAILNET_ADD_MS == 110000 && RAILNET_OTHER_MS == 50000 && RAILNET_REFUSED_MS == 5000, "");
    _Static_assert(!__builtin_strcmp(RAILNET_SOCKET, "/run/railnet/agent.sock"), "");
    _Static_assert(!__builtin_strcmp(RAILNET_EXEC_LOCK, "/run/railnet/exec.lock"), "");
    _Static_assert(!__builtin_strcmp(RAILNET_BINARY, "/opt/railnet/bin/railnet"), "");
    _Static_assert(!__builtin_strcmp(RAILNET_INIT_MOUNTS, "/proc/1/ns/mnt"), "");`;
  const dir = join(import.meta.dirname, "../../../cni/shim");
  t.doesNotThrow(() => execFileSync("gcc", ["-fsyntax-only", "-I", dir, "-x", "c", "-"], { input }));
});

t.test("shim takes a plain file in the place of the socket for a refusing agent", async (t) => {
  writeFileSync(shim.socket, "");
  const run = await shim.run(call("ADD"));
  t.ok(readFull(run.stdout));
  t.ok(run.ms >= REFUSED_MS);
});

t.test("shim asks an agent that comes back in time", async (t) => {
  using patient = new Shim({ refusedMs: 90_000 });
  await leaveSocket(patient);
  const run = patient.run(call("ADD"));
  await sleep(200);
  rmSync(patient.socket); // away for a moment: not to be taken for "no agent"
  await sleep(200);
  await using agent = await FakeAgent.listen(patient.socket, (socket) => socket.end(reply(0, "back")));
  t.match((await run).stdout.toString(), "back");
  t.equal(agent.requests.length, 1);
});

t.test("shim asks an agent that comes back while it queues for the lock", async (t) => {
  await leaveSocket();
  const holder = await holdLock();
  const run = shim.run(call("ADD"));
  await sleep(REFUSED_MS + 200);
  rmSync(shim.socket);
  await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "back")));
  holder.kill("SIGKILL");
  t.match((await run).stdout.toString(), "back");
  t.equal(agent.requests.length, 1);
  t.doesNotThrow(() => execFileSync("flock", ["-n", shim.lock, "true"]), "and leaves the lock");
});

t.test("shim answers with code 11 when it cannot get the lock before the time limit", async (t) => {
  await leaveSocket(hasty);
  const holder = await holdLock(hasty);
  const run = await hasty.run(call("DEL"));
  holder.kill("SIGKILL");
  t.match(readError(run), { exit: 1, code: 11, msg: /^cannot run without the agent: cannot get .* \(EAGAIN\)$/ });
  t.ok(run.ms >= LIMIT_MS, `${run.ms.toFixed(0)} ms`);
  t.throws(() => readFileSync(log), { code: "ENOENT" });
});

t.test("shim answers with code 11 when the lock file cannot be opened", async (t) => {
  await leaveSocket();
  execFileSync("ln", ["-s", "elsewhere", shim.lock]);
  t.match(readError(await shim.run(call("ADD"))), { exit: 1, code: 11, msg: /\(ELOOP\)$/ });
});

t.test("shim lets the full binary hold the lock as long as it lives", async (t) => {
  await leaveSocket();
  const run = shim.run(call("DEL", { FULL_MS: "3000" }));
  await until("it runs", () => existsSync(log));
  t.throws(() => execFileSync("flock", ["-n", shim.lock, "true"]), "held while it runs");
  await run;
  t.doesNotThrow(() => execFileSync("flock", ["-n", shim.lock, "true"]), "free afterwards");
});

for (const { when, start } of [
  { when: "the agent refuses", start: () => leaveSocket().then(() => undefined) },
  { when: "the agent dies under all of them", start: () => FakeAgent.listen(shim.socket, (socket) => socket.end()) },
])
  t.test(`shim runs eight full binaries one at a time when ${when}`, async (t) => {
    await using _agent = await start();
    const runs = await Promise.all(Array.from({ length: 8 }, () => shim.run(call("DEL", { FULL_MS: "40" }))));
    t.same(
      runs.map((run) => run.exit),
      Array(8).fill(0),
    );
    t.equal(readFileSync(log, "utf8"), "begin\nend\n".repeat(8));
  });

t.test("shim answers with code 11 at the time limit when the agent accepts nobody", async (t) => {
  const script = `require("net").createServer().listen({ path: process.argv[1], backlog: 1 }, () => {
    require("fs").writeSync(1, "listening"); Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 600000); })`;
  const stuck = spawn(process.execPath, ["-e", script, hasty.socket]);
  await once(stuck.stdout, "data");
  const waiting = Array.from({ length: 2 }, () => connect(hasty.socket).on("error", () => {}));
  await Promise.all(waiting.map((socket) => once(socket, "connect")));
  const run = await hasty.run(call("DEL"));
  stuck.kill("SIGKILL");
  t.match(readError(run), { exit: 1, code: 11, msg: /\(ETIMEDOUT\)$/ });
  t.ok(run.ms >= LIMIT_MS, `${run.ms.toFixed(0)} ms`);
});

t.test("shim says what is missing when there is neither an agent nor a full binary", async (t) => {
  rmSync(shim.full);
  const msg = `cannot run ${shim.full}: no agent answers, and this failed too (ENOENT)`;
  t.same(readError(await shim.run(call("STATUS"))), { exit: 1, code: 50, msg });
});

t.test("shim falls back on the railnet beside it, but never on itself", async (t) => {
  writeFileSync(shim.path("railnet"), '#!/bin/sh\necho "beside"\n', { mode: 0o755 });
  t.equal((await shim.run(call("DEL"))).stdout.toString(), "beside\n");
  rmSync(shim.path("railnet"));
  execFileSync("cp", [shim.path("railnet-shim"), shim.path("railnet")]);
  t.match(readError(await shim.run({ ...call("DEL"), name: "railnet" })), { code: 50, msg: /\(ELOOP\)$/ });
});
