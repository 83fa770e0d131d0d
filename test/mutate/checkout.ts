import { execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Coverage } from "./coverage.ts";
import { type Mutation, mutate } from "./mutations.ts";

/** Whatever takes longer does not end. */
const LIMIT_MS = 240_000;
/** How much longer than without a mutation a test may take on a busy machine, and what the shortest one may. */
const PATIENCE = { times: 6, leastMs: 20_000 };

/** How a test went with nothing changed. */
export interface Baseline {
  readonly passes: boolean;
  readonly coverage: Coverage;
  readonly limitMs: number;
}

/** A copy of the committed project in which files may be changed. */
export class Checkout implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "railnet-mutate-"));
  readonly #project: string;
  readonly #seed: number;

  /** @param seed of the random tests: the same one in every run, or one would notice what it did not a moment ago. */
  constructor(project: string, seed: number) {
    this.#project = project;
    this.#seed = seed;
    execFileSync("git", ["worktree", "add", "--quiet", "--detach", this.dir], { cwd: project });
    for (const shared of ["node_modules", ".cache"]) symlinkSync(join(project, shared), join(this.dir, shared));
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true, maxRetries: 3 }); // a test that was ended may still be writing
    execFileSync("git", ["worktree", "prune"], { cwd: this.#project });
  }

  read(file: string): string {
    return readFileSync(join(this.dir, file), "utf8");
  }

  /** @returns what takes the mutation out again. */
  apply(mutation: Mutation): Disposable {
    const path = join(this.dir, mutation.file);
    const source = readFileSync(path, "utf8");
    writeFileSync(path, mutate(source, mutation));
    return { [Symbol.dispose]: () => writeFileSync(path, source) };
  }

  /** With these mutations in it: the files whose types do not fit. */
  async misfits(mutations: readonly Mutation[]): Promise<ReadonlySet<string>> {
    using applied = new DisposableStack();
    for (const mutation of mutations) applied.use(this.apply(mutation));
    const args = ["-p", ".", "--pretty", "false", "--incremental", "--tsBuildInfoFile", ".tap/tsinfo"];
    const { stdout } = spawnSync("node_modules/.bin/tsc", args, { cwd: this.dir, encoding: "utf8" });
    return new Set([...stdout.matchAll(/^(\S+?)\(\d+,\d+\): error /gm)].map(([, file]) => file!));
  }

  /** @returns false when it cannot be built. */
  async build(): Promise<boolean> {
    return this.#run("bash", ["scripts/build.sh", "--test"]);
  }

  /** @param args of node: a test file. */
  async passes(args: readonly string[], limitMs = LIMIT_MS): Promise<boolean> {
    return this.#run(process.execPath, args, { NODE_COMPILE_CACHE: join(this.dir, ".tap/node") }, limitMs);
  }

  /** Runs a test and looks at what of the product it runs. */
  async baseline(args: readonly string[]): Promise<Baseline> {
    const reports = mkdtempSync(join(this.dir, ".tap-coverage-"));
    const begin = performance.now();
    const passes = await this.#run(process.execPath, args, { NODE_V8_COVERAGE: reports });
    const limitMs = Math.max(PATIENCE.leastMs, PATIENCE.times * (performance.now() - begin));
    const coverage = new Coverage(this.dir, reports);
    rmSync(reports, { recursive: true });
    return { passes, coverage, limitMs: Math.round(Math.min(limitMs, LIMIT_MS)) };
  }

  #run(
    command: string,
    args: readonly string[],
    more: Readonly<Record<string, string>> = {},
    limitMs = LIMIT_MS,
  ): Promise<boolean> {
    const own = { TAP_BAIL: "1", RAILNET_TEST_DIST: join(this.dir, "dist/test"), RAILNET_SEED: `${this.#seed}` };
    const child = spawn(command, args, {
      cwd: this.dir,
      env: { ...process.env, ...own, ...more },
      stdio: "ignore",
      timeout: limitMs,
      killSignal: "SIGKILL",
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => resolve(code === 0));
    });
  }
}
