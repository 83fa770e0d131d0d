import { execFileSync, spawn } from "node:child_process";
import { linkSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";

const here = import.meta.dirname;
const build = resolve(here, "../../../../cni/shim/build.sh");

/** Milliseconds of the limits in `cni/shim/limits.h`; absent ones stay as in production. */
export interface Limits {
  readonly addMs?: number;
  readonly otherMs?: number;
  readonly refusedMs?: number;
}

export interface Run {
  readonly exit: number | null;
  readonly stdout: Buffer;
  readonly stderr: string;
  readonly ms: number;
}

export interface Call {
  readonly name?: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string | Buffer;
  /** Milliseconds between the chunks in which stdin is written, and their size in bytes. */
  readonly slow?: { readonly ms: number; readonly bytes: number };
  /** A shell command in which `$SHIM` is the shim. */
  readonly shell?: string;
  readonly args?: readonly string[];
}

/** A shim built for a directory of its own, under several names, with a stand-in for the full binary. */
export class Shim implements Disposable {
  readonly dir = mkdtempSync(join(tmpdir(), "shim-"));
  readonly socket = join(this.dir, "run/agent.sock");
  readonly lock = join(this.dir, "run/exec.lock");
  readonly full = join(this.dir, "opt/railnet");
  readonly bin = join(this.dir, "bin");
  /** Stands for `/proc/1/ns/mnt`: the mount namespace of the test. */
  readonly initMounts = join(this.dir, "init");

  /** For the compiler: what makes a shim of this directory. */
  readonly macros: readonly string[];

  constructor(limits: Limits = {}) {
    this.macros = this.#define(limits);
    for (const name of ["run", "opt", "bin"]) mkdirSync(join(this.dir, name));
    execFileSync(build, [this.bin, process.arch === "arm64" ? "aarch64" : "x86_64"], {
      env: { ...process.env, CFLAGS: this.macros.join(" ") },
    });
    for (const name of ["railnet-sriov", "railnet-ipam", "whereabouts", "sriov", "rdma", "railnet-host-exec"])
      linkSync(join(this.bin, "railnet-shim"), join(this.bin, name));
    symlinkSync(`/proc/${process.pid}/ns/mnt`, this.initMounts);
    execFileSync("gcc", ["-O1", "-o", this.full, join(here, "full.c")]);
  }

  #define({ addMs, otherMs, refusedMs }: Limits): string[] {
    const paths = { SOCKET: this.socket, EXEC_LOCK: this.lock, BINARY: this.full, INIT_MOUNTS: this.initMounts };
    const times = { ADD_MS: addMs, OTHER_MS: otherMs, REFUSED_MS: refusedMs };
    return [
      ...Object.entries(paths).map(([key, path]) => `-DRAILNET_${key}="${path}"`),
      ...Object.entries(times).flatMap(([key, ms]) => (ms === undefined ? [] : [`-DRAILNET_${key}=${ms}`])),
    ];
  }

  path(name: string): string {
    return join(this.bin, name);
  }

  /** Runs the shim with this environment and nothing else, but for what `shell` needs. */
  run({ name = "railnet-sriov", env = {}, stdin = "", slow, shell, args = [] }: Call): Promise<Run> {
    const start = performance.now();
    const path = this.path(name);
    const child = shell
      ? spawn("/bin/bash", ["--norc", "-c", shell], { env: { PATH: process.env["PATH"]!, SHIM: path, ...env } })
      : spawn(path, args, { env });
    const out: Buffer[] = [];
    let stderr = "";
    child.stdout.on("data", (chunk: Buffer) => out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => {
      stderr += chunk;
    });
    child.stdin.on("error", () => {}); // the shim may end before it has read everything
    void feed(child.stdin, Buffer.from(stdin), slow);
    return new Promise((done, fail) => {
      child.on("error", fail);
      child.on("close", (exit) => done({ exit, stdout: Buffer.concat(out), stderr, ms: performance.now() - start }));
    });
  }

  [Symbol.dispose](): void {
    rmSync(this.dir, { recursive: true, force: true });
  }
}

async function feed(to: NodeJS.WritableStream, bytes: Buffer, slow: Call["slow"]): Promise<void> {
  if (slow)
    for (let at = 0; at < bytes.length; at += slow.bytes) {
      to.write(bytes.subarray(at, at + slow.bytes));
      await new Promise((done) => setTimeout(done, slow.ms));
    }
  else to.write(bytes);
  to.end();
}

/** What the stand-in for the full binary printed. */
export interface Seen {
  readonly args: string[];
  readonly cwd: string;
  readonly env: Record<string, string>;
  readonly stdin: Buffer;
}

/** @returns undefined when it was not the stand-in that printed this. */
export function readFull(stdout: Buffer): Seen | undefined {
  const mark = stdout.indexOf("stdin=\0");
  if (mark < 0) return undefined;
  const pairs = stdout
    .toString("utf8", 0, mark)
    .split("\0")
    .filter(Boolean)
    .map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)] as const);
  const all = (key: string) => pairs.filter(([k]) => k === key).map(([, value]) => value);
  const ours = all("env").filter((line) => !line.startsWith("_TAPJS_")); // tap adds its own to what it sees started
  const env = ours.map((line) => [line.slice(0, line.indexOf("=")), line.slice(line.indexOf("=") + 1)]);
  return { args: all("arg"), cwd: all("cwd")[0]!, env: Object.fromEntries(env), stdin: stdout.subarray(mark + 7) };
}

interface CniError {
  readonly cniVersion: string;
  readonly code: number;
  readonly msg: string;
}

/** The CNI error that a run printed, and its exit status. */
export function readError(run: Run): { exit: number | null; code: number; msg: string } {
  const { cniVersion, code, msg, ...rest } = JSON.parse(run.stdout.toString()) as CniError;
  if (cniVersion !== "1.1.0" || Object.keys(rest).length) throw new Error(`no CNI error: ${run.stdout}`);
  return { exit: run.exit, code, msg };
}
