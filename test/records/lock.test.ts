import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { must, pause } from "../../lab/netns/run.ts";

const bun = resolve("node_modules/.bin/bun");
const locker = join(import.meta.dirname, "support/locker.ts");

let runDir = "";
const children: ChildProcess[] = [];
t.beforeEach(() => {
  runDir = mkdtempSync(join(tmpdir(), "railnet-lock-"));
});
t.afterEach(() => {
  for (const child of children.splice(0)) child.kill("SIGKILL");
  rmSync(runDir, { recursive: true });
});
t.jobs = 1;

const use = (...args: (string | number)[]) => must(bun, [locker, runDir, ...args.map(String)]);
const acquire = async (timeoutMs: number, abortMs = 0) => JSON.parse(await use("acquire", timeoutMs, abortMs));

/** Starts a process that holds the lock, and returns when it does. */
async function holder(childSeconds = 0): Promise<{ process: ChildProcess; childPid: number }> {
  const child = spawn(bun, [locker, runDir, "hold", String(childSeconds)], { stdio: ["pipe", "pipe", "inherit"] });
  children.push(child);
  const [line] = await once(child.stdout!, "data");
  return { process: child, childPid: Number(String(line).split(" ")[1]) };
}

t.test(
  "Locks.acquire() lets one of six processes in at a time, while each deletes the file as it leaves",
  async (t) => {
    writeFileSync(join(runDir, "counter"), "0");
    await Promise.all(Array.from({ length: 6 }, () => use("count", 100)));
    t.equal(readFileSync(join(runDir, "counter"), "utf8"), "600");
    t.same(readdirSync(join(runDir, "locks")), [], "no file is left");
  },
);

t.test("Locks.acquire() waits for the holder to leave", async (t) => {
  const { process: first } = await holder();
  let isIn = false;
  const second = acquire(60_000).then((answer) => {
    isIn = true;
    return answer;
  });
  await pause(300);
  t.equal(isIn, false);
  first.stdin!.end();
  t.equal((await second).code, undefined);
});

t.test("Locks.acquire() gets in after its holder was killed, over the file that is left", async (t) => {
  const { process: first } = await holder();
  first.kill("SIGKILL");
  await once(first, "exit");
  t.ok(existsSync(join(runDir, "locks/vf")), "the file is there");
  t.equal((await acquire(60_000)).code, undefined);
});

t.test("Locks.acquire() gets in after its holder was killed, although a child of it lives on", async (t) => {
  const { process: first, childPid } = await holder(30);
  first.kill("SIGKILL");
  await once(first, "exit");
  process.kill(childPid, 0);
  t.equal((await acquire(60_000)).code, undefined);
  process.kill(childPid, "SIGKILL");
});

t.test("Locks.acquire() gives up after its time, saying what was to be locked", async (t) => {
  await holder();
  const { name, message, ms } = await acquire(200);
  t.equal(name, "LockTimeout");
  t.equal(message, "cannot lock VF 1: another call has held it for 200 ms");
  t.ok(ms >= 200, `after ${ms} ms`);
});

t.test("Locks.acquire() asks soon, then every 20 ms: who leaves lets the next one in at once", async (t) => {
  const { ms } = JSON.parse(await use("polls", 8));
  t.ok(ms >= 60, `8 times within ${ms} ms: it rests`);
  t.ok(ms < 2_000, `8 times within ${ms} ms: not ever more seldom`); // 71 ms, or 2.5 s
});

t.test("Locks.acquire() stops when its signal aborts", async (t) => {
  await holder();
  const { name, ms } = await acquire(60_000, 200);
  t.equal(name, "TimeoutError");
  t.ok(ms < 60_000, `after ${ms} ms`);
});

t.test("Locks.sweep() deletes the files of dead holders and no other", async (t) => {
  const { process: dead } = await holder();
  dead.kill("SIGKILL");
  await once(dead, "exit");
  await use("sweep");
  t.same(readdirSync(join(runDir, "locks")), []);
  await holder();
  await use("sweep");
  t.same(readdirSync(join(runDir, "locks")), ["vf"]);
  t.equal((await acquire(100)).name, "LockTimeout", "it is still held");
});
