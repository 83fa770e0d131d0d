import { execFileSync, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Mutation, mutate } from "./mutations.ts";

/** Whatever takes longer does not end. */
const LIMIT_MS = 180_000;

/** A copy of the committed project in which files may be changed. */
export class Checkout implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "railnet-mutate-"));
  readonly #project: string;

  constructor(project: string) {
    this.#project = project;
    execFileSync("git", ["worktree", "add", "--quiet", "--detach", this.dir], { cwd: project });
    for (const shared of ["node_modules", ".cache"]) symlinkSync(join(project, shared), join(this.dir, shared));
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true });
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

  /** Whether the types still fit. */
  async compiles(): Promise<boolean> {
    return this.#run("node_modules/.bin/tsc", ["-p", ".", "--incremental", "--tsBuildInfoFile", ".tap/tsinfo"]);
  }

  /** @returns false when it cannot be built. */
  async build(): Promise<boolean> {
    return this.#run("bash", ["scripts/build.sh", "--test"]);
  }

  async passes(test: string): Promise<boolean> {
    return this.#run(process.execPath, [test]);
  }

  #run(command: string, args: readonly string[]): Promise<boolean> {
    const env = { ...process.env, TAP_BAIL: "1", RAILNET_TEST_DIST: join(this.dir, "dist/test") };
    const child = spawn(command, args, {
      cwd: this.dir,
      env,
      stdio: "ignore",
      timeout: LIMIT_MS,
      killSignal: "SIGKILL",
    });
    return new Promise((resolve, reject) => {
      child.once("error", reject);
      child.once("exit", (code) => resolve(code === 0));
    });
  }
}
