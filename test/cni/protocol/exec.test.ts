// execCommand() in each engine that it has to work in: the stand-alone executable, the agent's worker, these tests.
import { spawnSync } from "node:child_process";
import { chmodSync, closeSync, existsSync, openSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import type { Job, Outcome } from "./support/exec-driver.ts";

const BUN = resolve("node_modules/.bin/bun");
const DRIVER = resolve("test/cni/protocol/support/exec-driver.ts");
const ENGINES = [
  { engine: "Bun", command: [BUN, DRIVER] },
  { engine: "a worker of Bun", command: [BUN, DRIVER, "worker"] },
  { engine: "Node", command: [process.execPath, DRIVER] },
] as const;

/** More than a pipe holds. */
const MUCH = "0123456789abcdef".repeat(200_000);

interface Row {
  readonly what: string;
  /** A shell script; `$0.x` is beside it. Absent: it is not there. */
  readonly script?: string;
  readonly mode?: number;
  readonly job?: Partial<Job>;
  readonly check: (t: Test, outcome: Outcome, file: string) => unknown;
}

const reply = (exit: number, stdout: string, stderr = "") => ({ reply: { exit, stdout, stderr } });
const error = (code: string, message: RegExp) => ({ error: { name: "ExecError", code, message } });

const ROWS: readonly Row[] = [
  {
    what: "hands over stdin to the byte and takes all of stdout",
    script: "exec cat",
    job: { stdin: `${MUCH}é\n\0x` },
    check: (t, outcome) => t.equal(outcome.reply?.stdout, `${MUCH}é\n\0x`),
  },
  {
    what: "gives the environment asked for and PATH, nothing else, and / as directory",
    script: 'tr "\\0" "\\n" < /proc/$$/environ | sort; pwd',
    job: { env: { CNI_COMMAND: "ADD", CNI_ARGS: "A=b=c" } },
    check: (t, { reply }) => t.match(reply?.stdout, /^CNI_ARGS=A=b=c\nCNI_COMMAND=ADD\nPATH=.+\n\/\n$/),
  },
  {
    what: "gives exit status and stderr",
    script: "echo out; echo marked-stderr >&2; exit 7",
    check: (t, outcome) => t.match(outcome, reply(7, "out\n", "marked-stderr\n")),
  },
  {
    what: "does not mind a plugin that reads no stdin",
    script: "exec <&-; echo done",
    job: { stdin: MUCH },
    check: (t, outcome) => t.match(outcome, reply(0, "done\n")),
  },
  {
    what: "kills a plugin that hangs with all that it started, however deaf",
    script: "trap '' TERM; sleep 1000 & echo $$ $! > $0.x; wait",
    job: { timeoutMs: 400 },
    check: async (t, outcome, file) => {
      t.match(outcome, error("ETIMEDOUT", /^\/.* did not end within 0\.4 s and was killed \(ETIMEDOUT\)$/));
      await allGone(t, file);
    },
  },
  {
    what: "kills a plugin that prints without end",
    script: "echo $$ > $0.x; exec yes",
    check: async (t, outcome, file) => {
      t.match(outcome, error("EMSGSIZE", /printed more than 16 MiB and was killed \(EMSGSIZE\)$/));
      await allGone(t, file);
    },
  },
  {
    what: "kills a plugin whose caller gives up, and rejects with the caller's reason",
    script: "sleep 1000 & echo $$ $! > $0.x; wait",
    job: { abortAfterMs: 300 },
    check: async (t, outcome, file) => {
      t.match(outcome, { error: { name: "Error", message: "the caller is gone" } });
      await allGone(t, file);
    },
  },
  {
    what: "does not start a plugin whose caller has given up",
    script: "echo started > $0.x",
    job: { abortAfterMs: 0 },
    check: (t, outcome, file) => {
      t.match(outcome, { error: { message: "the caller is gone" } });
      t.notOk(existsSync(`${file}.x`));
    },
  },
  {
    what: "answers when the plugin ends, and leaves what it left running alone",
    script: "sleep 60 & echo $! > $0.x; echo done",
    check: (t, outcome, file) => {
      t.match(outcome, reply(0, "done\n"));
      t.ok(outcome.ms < 60_000, `after ${outcome.ms} ms`);
      t.same(pidsIn(file).filter(isAlive).length, 1);
      for (const pid of pidsIn(file)) process.kill(pid);
    },
  },
  {
    what: "names the signal that ended a plugin",
    script: "kill -SEGV $$",
    check: (t, outcome) => t.match(outcome, error("SIGSEGV", /^\/.* was killed \(SIGSEGV\)$/)),
  },
  {
    what: "names an executable that is not there",
    check: (t, outcome) => t.match(outcome, error("ENOENT", /^cannot execute \/.* \(ENOENT\)$/)),
  },
  {
    what: "names an executable that is none",
    script: "",
    mode: 0o644,
    check: (t, outcome) => t.match(outcome, error("EACCES", /^cannot execute \/.* \(EACCES\)$/)),
  },
  {
    what: "says when an executable is being written",
    script: "busy",
    check: (t, outcome) => t.match(outcome, error("ETXTBSY", /^cannot execute \/.* \(ETXTBSY\)$/)),
  },
];

for (const { engine, command } of ENGINES)
  t.test(`execCommand() under ${engine}`, async (t) => {
    const scripts = ROWS.map(({ script }, i) => [`plugin${i}`, `#!/bin/sh\n${script ?? ""}\n`] as const);
    const dir = t.testdir(Object.fromEntries(scripts.filter((_, i) => ROWS[i]!.script !== undefined)));
    const files = ROWS.map((_, i) => join(dir, `plugin${i}`));
    for (const [i, { script, mode }] of ROWS.entries()) if (script !== undefined) chmodSync(files[i]!, mode ?? 0o755);
    const writing = openSync(files[ROWS.findIndex(({ script }) => script === "busy")]!, "r+");
    t.teardown(() => closeSync(writing));
    const jobs = ROWS.map(({ job }, i): Job => ({ binary: files[i]!, env: {}, stdin: "", timeoutMs: 20_000, ...job }));

    // by env(1), since tap puts itself into the environment of whatever Node a test starts
    const driver = spawnSync("env", ["-i", `PATH=${process.env.PATH}`, "CNI_SECRET=must not be seen", ...command], {
      input: JSON.stringify(jobs),
      encoding: "utf8",
      maxBuffer: 64 << 20,
    });
    t.equal(driver.stderr, "marked-stderr\n", "a plugin's stderr goes to ours, and nothing else");
    const outcomes: Outcome[] = JSON.parse(driver.stdout);
    for (const [i, { what, check }] of ROWS.entries())
      await t.test(`execCommand() ${what}, under ${engine}`, async (t) => check(t, outcomes[i]!, files[i]!));
  });

const pidsIn = (file: string): number[] => readFileSync(`${file}.x`, "utf8").trim().split(" ").map(Number);

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

/** SIGKILL is sure but not instant. */
async function allGone(t: Test, file: string): Promise<void> {
  const pids = pidsIn(file);
  for (let tries = 0; tries < 50 && pids.some(isAlive); tries++) await sleep(20);
  t.same(pids.filter(isAlive), []);
}
