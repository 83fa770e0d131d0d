// The plugin as a process of its own, as a runtime starts it. Numbers are those of the checklist in README.md.
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { SUPPORTED_VERSIONS } from "../../../cni/protocol/version.ts";

const BUN = resolve("node_modules/.bin/bun");
const MAIN = resolve("main.ts");
const ARGUMENTS = ["--cwd=/", "--define", "FAULT_INJECTION=false", MAIN];
const CONFIG = JSON.stringify({ cniVersion: "1.1.0", name: "n", type: "railnet-sriov" });

interface Run {
  readonly env?: Record<string, string>;
  /** Pieces of stdin, half a second apart; null leaves it closed. */
  readonly stdin?: readonly string[] | null;
  /** Shell code that runs the plugin as "$@". */
  readonly shell?: string;
}

async function run({ env = {}, stdin = [CONFIG], shell = '"$@"' }: Run) {
  const child = spawn("/bin/bash", ["--norc", "-c", shell, "bash", BUN, ...ARGUMENTS], { env, stdio: "pipe" });
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stdout.on("data", (piece) => out.push(piece));
  child.stderr.on("data", (piece) => err.push(piece));
  child.stdin.on("error", () => {});
  const closed = new Promise<number | null>((done) => child.once("close", done));
  for (const [i, piece] of (stdin ?? []).entries()) {
    if (i > 0) await sleep(500);
    child.stdin.write(piece);
  }
  child.stdin.end();
  const exit = await closed;
  const stdout = Buffer.concat(out).toString();
  return { exit, stdout, stderr: Buffer.concat(err).toString(), json: stdout ? JSON.parse(stdout) : undefined };
}

t.jobs = 2;

t.test(
  "main.ts 1: without CNI_COMMAND, under the plugin's name, prints what it is on stderr and reads no stdin",
  async (t) => {
    const { exit, stdout, stderr } = await run({ shell: '"$@" <&-', env: { CNI_COMMAND: "" } });
    t.match(
      { exit, stdout, stderr },
      { exit: 0, stdout: "", stderr: /^railnet-sriov: .*\nCNI protocol versions supported: 0\.1\.0, / },
    );
  },
);

t.test("main.ts 42, 141: VERSION answers in an environment of nothing else", async (t) => {
  const { exit, stderr, json } = await run({ env: { CNI_COMMAND: "VERSION" }, stdin: ["garbage"] });
  t.same(
    { exit, stderr, json },
    { exit: 0, stderr: "", json: { cniVersion: "1.1.0", supportedVersions: SUPPORTED_VERSIONS } },
  );
});

t.test("main.ts 4, 18: ADD with nothing else is error 4, on stdout alone", async (t) => {
  const { exit, stderr, json } = await run({ env: { CNI_COMMAND: "ADD" }, stdin: ["garbage"] });
  t.match({ exit, stderr, code: json.code }, { exit: 1, stderr: "", code: 4 });
});

/** A verb that needs no device: what is wrong with the configuration is said first. */
const GC = { CNI_COMMAND: "GC", CNI_PATH: "/nowhere" };

t.test("main.ts 36, 39: 20 MB of stdin are read to the end, not to the first whole value", async (t) => {
  const { json } = await run({ env: GC, stdin: [CONFIG, " ".repeat(20_000_000), "x"] });
  t.match(json, { code: 6, msg: /unexpected "x"/ });
});

t.test("main.ts 37: stdin in two pieces is one", async (t) => {
  const half = CONFIG.length / 2;
  const { exit, stdout, stderr } = await run({ env: GC, stdin: [CONFIG.slice(0, half), CONFIG.slice(half)] });
  t.same({ exit, stdout, stderr }, { exit: 0, stdout: "", stderr: "" });
});

for (const [row, shell, code] of [
  ["38: closed stdin", '"$@" <&-', /^[56]$/],
  ["38: a directory as stdin", '"$@" </', 5],
  ["22: an empty file as stdin", '"$@" </dev/null', 6],
] as const)
  t.test(`main.ts ${row} is one error on stdout`, async (t) => {
    const { exit, stderr, json } = await run({ env: GC, shell });
    t.match({ exit, stderr, code: json.code }, { exit: 1, stderr: "", code });
  });

const needsRoot = process.getuid?.() === 0 || process.env.CI ? false : "needs root";
t.test("main.ts 67: what fails before a verb is reached is an error on stdout too", { skip: needsRoot }, async (t) => {
  const shell = 'exec unshare -m bash --norc -c \'mount -t tmpfs none /proc/sys && exec "$@"\' bash "$@"';
  const { exit, json } = await run({ env: { ...GC, PATH: process.env.PATH! }, shell });
  t.match({ exit, json }, { exit: 1, json: { code: 100, msg: /boot_id/ } });
});

t.test("main.ts 142: starts in a directory that is gone", async (t) => {
  const gone = mkdtempSync(join(tmpdir(), "gone-"));
  t.teardown(() => rmSync(gone, { recursive: true, force: true }));
  const { exit, json } = await run({
    env: { CNI_COMMAND: "VERSION" },
    shell: `cd ${gone}; /bin/rmdir ${gone}; exec "$@"`,
  });
  t.match({ exit, json }, { exit: 0, json: { cniVersion: "1.1.0" } });
});
