import { existsSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { join } from "node:path";
import t, { type Test } from "tap";
import { FakeAgent, reply } from "./support/fake-agent.ts";
import { type Run, readError, readFull, Shim } from "./support/shim.ts";

/** With production's time limits; it waits for a refusing agent longer than any test. */
const shim = new Shim({ refusedMs: 600_000 });
/** For what happens at the limits. */
const hasty = new Shim({ addMs: 1500, otherMs: 800 });
t.setTimeout(600_000); // a busy machine
t.teardown(() => shim[Symbol.dispose]());
t.teardown(() => hasty[Symbol.dispose]());

const log = join(shim.dir, "full.log");
const OTHERS = ["DEL", "CHECK", "GC", "STATUS", "VERSION", "NONSENSE"];
const stdin = '{"name":"n"}';
const call = (verb: string) => ({ env: { CNI_COMMAND: verb, FULL_LOG: log }, stdin });

function becameFull(t: Test, run: Run): void {
  const seen = readFull(run.stdout);
  t.match(seen, { args: ["railnet-sriov"], cwd: "/" });
  t.equal(seen?.stdin.toString(), stdin);
}

t.afterEach(() => rmSync(log, { force: true }));

for (const verb of ["ADD", ...OTHERS])
  t.test(`shim becomes the full binary for ${verb} when there is no socket, without waiting`, async (t) => {
    const run = await shim.run({ ...call(verb), args: ["a", "b"] });
    t.match(readFull(run.stdout), { args: ["railnet-sriov", "a", "b"], cwd: "/" });
    t.equal(readFull(run.stdout)?.stdin.toString(), stdin);
  });

t.test("shim hands on the exit status of the full binary", async (t) => {
  t.equal((await shim.run({ env: { CNI_COMMAND: "DEL", FULL_EXIT: "77" } })).exit, 77);
});

t.test("shim gives the full binary the environment without BUN_ and NODE_ variables", async (t) => {
  const env = { CNI_COMMAND: "ADD", CNI_ARGS: "a=b", PATH: "/bin", LD_LIBRARY_PATH: "/lib" };
  const run = await shim.run({ env: { ...env, BUN_BE_BUN: "1", BUN_OPTIONS: "-h", NODE_OPTIONS: "-h" } });
  t.same(readFull(run.stdout)?.env, env);
});

for (const env of [{}, { CNI_COMMAND: "" }, { CNI_COMMAND: "", CNI_IFNAME: "net1" }])
  t.test(
    `shim becomes the full binary, with stdin unread, when its environment is ${JSON.stringify(env)}`,
    async (t) => {
      await using agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "")));
      becameFull(t, await shim.run({ env, stdin }));
      t.equal(agent.requests.length, 0);
    },
  );

const NO_REPLY: Record<string, (socket: Socket) => void> = {
  "closes at once": (s) => s.end(),
  "closes after part of the header": (s) => s.end(reply(0, "x").subarray(0, 5)),
  "closes after the header": (s) => s.end(reply(0, "x").subarray(0, 8)),
  "closes in the middle of the reply": (s) => s.end(reply(0, "x".repeat(100_000)).subarray(0, 70_000)),
  "replies with exit status 256": (s) => s.write(reply(256, "x")),
  "replies with exit status 2^32 - 1": (s) => s.write(reply(0xffffffff, "x")),
  "announces a reply of 16 MiB and a byte": (s) => s.write(Buffer.from([0, 0, 0, 0, 1, 0, 0, 1])),
  "announces a reply of 4 GiB": (s) => s.write(Buffer.from([0, 0, 0, 0, 255, 255, 255, 255])),
};

for (const [what, behave] of Object.entries(NO_REPLY)) {
  t.test(`shim answers ADD with code 11 when the agent ${what}`, async (t) => {
    await using agent = await FakeAgent.listen(shim.socket, behave);
    t.match(readError(await shim.run(call("ADD"))), { exit: 1, code: 11, msg: /^cannot finish ADD: the agent went/ });
    t.equal(agent.requests.length, 1);
    t.notOk(existsSync(log), "and does not run the full binary");
  });
  for (const verb of what === "closes at once" ? OTHERS : ["DEL"])
    t.test(`shim becomes the full binary for ${verb} when the agent ${what}`, async (t) => {
      await using agent = await FakeAgent.listen(shim.socket, behave);
      becameFull(t, await shim.run(call(verb)));
      t.equal(agent.requests.length, 1);
      t.ok(existsSync(shim.lock), "under the lock");
    });
}

const TOO_LATE: Record<string, (socket: Socket) => void> = {
  "says nothing": () => {},
  "stops in the middle of its reply": (s) => s.write(reply(0, "xyz").subarray(0, 9)),
  "sends a byte every 100 ms": (s) => {
    const bytes = reply(0, "x".repeat(100));
    for (let at = 0; at < bytes.length; at++) setTimeout(() => s.write(bytes.subarray(at, at + 1)), at * 100).unref();
  },
};

for (const [what, behave] of Object.entries(TOO_LATE))
  for (const { verb, limit } of [
    { verb: "ADD", limit: 1500 },
    { verb: "DEL", limit: 800 },
    { verb: "VERSION", limit: 800 },
  ])
    t.test(`shim answers ${verb} with code 11 at the time limit when the agent ${what}`, async (t) => {
      await using agent = await FakeAgent.listen(hasty.socket, behave);
      const run = await hasty.run(call(verb));
      t.match(readError(run), { exit: 1, code: 11, msg: /no reply within the time limit \(ETIMEDOUT\)$/ });
      t.ok(run.ms >= limit, `${run.ms.toFixed(0)} ms`); // a slow reply would have come: it takes ten seconds
      t.notOk(existsSync(log), "and does not run the full binary beside it");
      await agent.vanished;
    });

t.test("shim answers with code 11 at the time limit when stdin is never closed", async (t) => {
  await using agent = await FakeAgent.listen(hasty.socket, (socket) => socket.end(reply(0, "")));
  const run = await hasty.run({ ...call("DEL"), slow: { ms: 400, bytes: 1 } });
  t.match(readError(run), { code: 11, msg: /the caller does not close it \(ETIMEDOUT\)$/ });
  t.ok(run.ms >= 800);
  t.equal(agent.requests.length, 0);
});

t.test("shim ends its ADD when nobody reads its stdout any more, and the agent sees it", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, () => {});
  const run = shim.run({ ...call("ADD"), shell: '{ "$SHIM"; echo "$?" >&2; } | sleep 0.2' });
  await agent.vanished;
  const { ms, stderr } = await run;
  t.equal(stderr.trim(), "1");
  t.ok(ms < 100_000, `${ms.toFixed(0)} ms, before the time limit`);
});

t.test("shim keeps its DEL going when nobody reads its stdout any more", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, (s) => setTimeout(() => s.end(reply(0, "")), 500));
  const run = await shim.run({ ...call("DEL"), shell: '{ "$SHIM"; echo "$?" >&2; } | sleep 0.1' });
  t.equal(run.stderr.trim(), "0");
  t.equal(agent.requests.length, 1);
});

t.test("shim fails when the reply of a success cannot be written", async (t) => {
  await using _agent = await FakeAgent.listen(shim.socket, (socket) => socket.end(reply(0, "result")));
  const run = await shim.run({ ...call("ADD"), shell: '"$SHIM" > /dev/full' });
  t.equal(run.exit, 1);
});

t.test("shim leaves nothing of an ADD running when it is killed", async (t) => {
  await using agent = await FakeAgent.listen(shim.socket, () => {});
  const run = await shim.run({ ...call("ADD"), shell: '"$SHIM" & sleep 0.2; kill -9 $!; wait $!' });
  t.equal(run.exit, 137);
  await agent.vanished;
});
