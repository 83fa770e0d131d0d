// The runner as its users meet it: a folder of files that pass, fail, die, hang and waver, and what it says of them.
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import t from "tap";
import { readOptions } from "../../lab/run/options.ts";
import { until } from "../../lab/until.ts";

const RUNNER = resolve("test/run.ts");

/** Test files, by what they do. They print TAP as node-tap would. */
const FILES = {
  pass: `console.log("ok 1 - a\\nok 2 - b\\n1..2")`,
  fail: `console.log("# seed 17\\nnot ok 1 - the moon\\n  ---\\n  wanted: cheese\\n  ...\\n1..1"); console.error("stone"); process.exit(1)`,
  liar: `console.log("not ok 1 - a\\n1..1")`,
  forge: `console.log("ok 1 - forged\\nok 1 - a\\n1..1\\n# { total: 7, pass: 7 }")`,
  dies: `console.log("ok 1 - a"); process.kill(process.pid, "SIGKILL"); setInterval(() => 0, 1000)`,
  silent: ``,
  exits: `console.log("ok 1 - a\\n1..1"); process.exitCode = 7`,
  skipped: `console.log("ok 1 - a # SKIP no root\\n1..1")`,
  hangs: `console.log("ok 1 - a"); setTimeout(() => process.exit(3), process.env.TAP_TIMEOUT * 1000)`, // as node-tap would
  leaves: `import { spawn } from "node:child_process";
    spawn("sleep", ["60"], { stdio: ["ignore", "inherit", "ignore"], detached: true }).unref(); console.log("ok 1 - a\\n1..1")`,
  wavers: `import { appendFileSync, readFileSync } from "node:fs";
    appendFileSync("tries", "x"); const bad = readFileSync("tries", "utf8") === "x";
    console.log((bad ? "not ok 1 - a" : "ok 1 - a") + "\\n1..1"); process.exit(bad ? 1 : 0)`,
  seeded: `import { writeFileSync } from "node:fs"; writeFileSync("seed", process.env.RAILNET_SEED); console.log("ok 1\\n1..1")`,
  waits: `import { writeFileSync } from "node:fs"; writeFileSync("pid", String(process.pid)); setInterval(() => 0, 1000)`,
};

interface Said {
  readonly exit: number | null;
  readonly lines: readonly string[];
  readonly last: string | undefined;
}

class Folder {
  readonly path = mkdtempSync(join(tmpdir(), "railnet-run-"));

  constructor(names: readonly (keyof typeof FILES)[], flaky?: string) {
    for (const name of names) this.write(`test/${name}.test.ts`, FILES[name]);
    if (flaky !== undefined) this.write("test/flaky.tsv", flaky);
  }

  write(name: string, content: string): void {
    mkdirSync(dirname(join(this.path, name)), { recursive: true });
    writeFileSync(join(this.path, name), content);
  }

  start(args: readonly string[], more: NodeJS.ProcessEnv = {}) {
    const { CI: _, ...env } = process.env;
    const options = {
      cwd: this.path,
      stdio: ["ignore", "pipe", "pipe"] as ["ignore", "pipe", "pipe"],
      env: { ...env, ...more },
    };
    return spawn(process.execPath, [RUNNER, ...args], options);
  }

  async run(...args: (string | NodeJS.ProcessEnv)[]): Promise<Said> {
    const runner = this.start(
      args.filter((arg) => typeof arg === "string"),
      args.find((arg) => typeof arg === "object"),
    );
    const exited = new Promise<number | null>((ended) => runner.once("exit", ended));
    const [out, err] = await Promise.all([text(runner.stdout), text(runner.stderr)]);
    const lines = (out + err).trimEnd().split("\n");
    return { exit: await exited, lines, last: out.trimEnd().split("\n").at(-1) };
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

/** What is said of each file, in lines: how it went, and why. */
const OF_EACH = {
  pass: [/^ok \d+ - /],
  fail: [/^not ok /, /^ {4}not ok 1 - the moon$/, /^ {6}wanted: cheese$/, /^ {4}# seed 17$/, /^ {4}stderr: stone$/],
  liar: [/^not ok /],
  forge: [/^not ok /, /^ {4}test point 2 is not "ok 1 - a"/],
  dies: [/^not ok /, /^ {4}the output ends without a plan$/, /^ {4}ended by SIGKILL$/],
  silent: [/^not ok /, /^ {4}no tests$/],
  exits: [/^not ok /, /^ {4}exit 7$/],
  skipped: [/^ok /, /^ {4}ok 1 - a # SKIP no root$/],
  leaves: [/^not ok /, /^ {4}a process that it started holds its standard output$/],
} satisfies Partial<Record<keyof typeof FILES, RegExp[]>>;

t.test("run.ts says of every file what it proves, and counts it", async (t) => {
  const names = Object.keys(OF_EACH) as (keyof typeof OF_EACH)[];
  using folder = new Folder(names);
  const said = await folder.run();
  for (const name of names) {
    const first = said.lines.findIndex((line) => line.includes(` - test/${name}.test.ts #`));
    const of = said.lines.slice(
      first,
      said.lines.findIndex((line, i) => i > first && !line.startsWith("    ")),
    );
    for (const line of OF_EACH[name])
      t.ok(
        of.some((found) => line.test(found)),
        `${name}: ${line} in ${of.join("; ")}`,
      );
  }
  const times = (name: string) => said.lines.filter((line) => line.includes(` - test/${name}.test.ts #`)).length;
  t.same([times("pass"), times("fail")], [1, 2], "what fails has a second try");
  t.equal(said.last, "7 passed, 10 failed");
  t.equal(said.exit, 1);
  t.match(said.lines.at(-3), /^# failed: .*dies.*exits.*fail.*forge.*leaves.*liar.*silent/);
});

t.test("run.ts gives a file that hangs its time, once", async (t) => {
  using folder = new Folder(["hangs"]);
  const said = await folder.run("--limit", "1");
  t.equal(said.last, "1 passed, 2 failed");
  t.ok(
    said.lines.some((line) => line === "    still running after 1 s (exit 3)"),
    said.lines.join("\n"),
  );
  t.equal(said.lines.filter((line) => line.startsWith("not ok ")).length, 1, "not a second time");
});

t.test("run.ts fails when nothing ran, and with CI set when something was skipped", async (t) => {
  using folder = new Folder(["skipped"]);
  t.equal((await folder.run()).last, "0 passed, 1 failed");
  folder.write("test/pass.test.ts", FILES.pass);
  t.equal((await folder.run()).last, "2 passed, 0 failed");
  t.equal((await folder.run({ CI: "true" })).last, "2 passed, 1 failed");
});

t.test("run.ts names what passes at its second try only, and counts the failure", async (t) => {
  using folder = new Folder(["wavers", "pass"]);
  const said = await folder.run();
  t.equal(said.last, "2 passed, 1 failed");
  t.equal(said.exit, 1);
  t.ok(said.lines.slice(-4).includes("# flaky, failed and then passed: test/wavers.test.ts"), said.lines.join("\n"));
});

t.test("run.ts tolerates what stands in the list of flaky files, and still names it", async (t) => {
  using folder = new Folder(["wavers"], "# path, date, why\ntest/wavers.test.ts\t2026-11-30\tits clock\n");
  const said = await folder.run();
  t.equal(said.last, "1 passed, 0 failed");
  t.equal(said.exit, 0);
  t.ok(said.lines.includes("# flaky, failed and then passed: test/wavers.test.ts (tolerated)"));
});

t.test("run.ts --tolerate-flaky names every file that is flaky, and fails for none", async (t) => {
  using folder = new Folder(["wavers"]);
  const said = await folder.run("--tolerate-flaky");
  t.equal(said.last, "1 passed, 0 failed");
  t.ok(said.lines.includes("# flaky, failed and then passed: test/wavers.test.ts (tolerated)"));
});

for (const { what, list, error } of [
  { what: "without date and reason", list: "test/pass.test.ts\tsometimes", error: /is not: path, date, reason/ },
  { what: "of a file that is gone", list: "test/gone.test.ts\t2026-11-30\tits clock", error: /there is no test\/gone/ },
])
  t.test(`run.ts refuses a list of flaky files with a line ${what}`, async (t) => {
    using folder = new Folder(["pass"], list);
    const said = await folder.run();
    t.equal(said.exit, 1);
    t.match(said.lines.join("\n"), error);
  });

t.test("run.ts prints the run's seed, gives it to the files, and takes it back", async (t) => {
  using folder = new Folder(["seeded"]);
  const [, seed] = /# seed (\d+)/.exec((await folder.run()).lines[0]!) ?? [];
  t.equal(readFileSync(join(folder.path, "seed"), "utf8"), seed);
  const again = await folder.run("--seed", "1207");
  t.match(again.lines, [/^# seed 1207/]);
  t.equal(readFileSync(join(folder.path, "seed"), "utf8"), "1207");
});

t.test("run.ts takes parts of paths, and fails when they choose nothing", async (t) => {
  using folder = new Folder(["pass", "fail"]);
  t.equal((await folder.run("pass")).last, "2 passed, 0 failed");
  t.equal((await folder.run("none-such")).last, "0 passed, 1 failed");
});

for (const args of [["--seed", "x"], ["--busy", "-1"], ["--busy=4x"], ["--limit", "0"], ["--what"]])
  t.test(`readOptions() refuses ${args.join(" ")}`, async (t) => {
    t.throws(() => readOptions(args), new RegExp(args[0]!.slice(0, 6)));
  });

t.test("readOptions() reads numbers and parts, in any order", async (t) => {
  const options = readOptions(["netns/", "--busy", "4", "cni", "--seed=7", "--limit", "60"]);
  t.same(options, { parts: ["netns/", "cni"], seed: 7, busy: 4, toleratesFlaky: false, limitSeconds: 60 });
});

const children = (pid: number) => readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(" ");
const isThere = (pid: string | number) =>
  existsSync(`/proc/${pid}`) && !/^State:\sZ/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));

for (const signal of ["SIGINT", "SIGKILL"] as const)
  t.test(`run.ts --busy 2 keeps two loops beside the run, and ${signal} ends them`, async (t) => {
    using folder = new Folder(["waits"]);
    const runner = folder.start(["--busy", "2"]);
    runner.stdout.resume();
    await until(
      "the file runs",
      () => existsSync(join(folder.path, "pid")) && readFileSync(join(folder.path, "pid"), "utf8") !== "",
    );
    const file = readFileSync(join(folder.path, "pid"), "utf8");
    const loops = children(runner.pid!).filter((pid) => pid !== file);
    t.equal(loops.length, 2);
    runner.kill(signal);
    await until("the loops have ended", () => !loops.some(isThere));
    t.pass("the loops have ended");
    if (signal === "SIGKILL") process.kill(Number(file)); // nobody could end it
    await until("the file has ended", () => !isThere(file));
    t.pass("and the file");
  });

t.test("run.ts --busy 2 ends its loops with the run", async (t) => {
  using folder = new Folder(["pass"]);
  t.equal((await folder.run("--busy", "2")).last, "2 passed, 0 failed");
});
