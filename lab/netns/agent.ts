import { type ChildProcess, spawn } from "node:child_process";
import { readdirSync } from "node:fs";
import { until } from "../until.ts";
import type { Netns } from "./netns.ts";
import { useOf } from "./process-use.ts";
import type { Ran } from "./run.ts";

/** A running node agent. */
export class Agent {
  readonly pid: number;
  readonly port: number;
  readonly #host: Netns;
  readonly #child: ChildProcess;
  readonly #done: Promise<Pick<Ran, "exit" | "signal">>;
  #ended = false;
  #log = "";

  private constructor(
    host: Netns,
    executable: string,
    env: Readonly<Record<string, string>>,
    port: number,
    more: readonly string[],
  ) {
    this.#host = host;
    this.port = port;
    const args = ["agent", "--health", `127.0.0.1:${port}`, "--reconcile-seconds", "3600", ...more];
    if (!args.includes("--metrics")) args.push("--metrics", "");
    // It dies with the test, however that ends.
    const [command, rest] = host.enter("setpriv", "--pdeathsig", "KILL", executable, ...args);
    const child = spawn(command, rest, { env: { PATH: process.env["PATH"]!, ...env } });
    this.#child = child;
    this.pid = child.pid!;
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (piece: Buffer) => (this.#log += piece));
    this.#done = new Promise((resolve) =>
      child.on("close", (exit, signal) => {
        this.#ended = true;
        resolve({ exit, signal });
      }),
    );
  }

  /** Starts one; ready() says when it serves. */
  static start(
    host: Netns,
    executable: string,
    env: Readonly<Record<string, string>>,
    port: number,
    more: readonly string[] = [],
  ): Agent {
    return new Agent(host, executable, env, port, more);
  }

  get ended(): boolean {
    return this.#ended;
  }

  get log(): string {
    return this.#log;
  }

  /** Waits until it serves. @throws {Error} with its log if it ends before. */
  async ready(): Promise<this> {
    await until("the agent is ready", () => this.#ended || this.saysReady());
    if (this.#ended) throw new Error(`the agent ended: ${this.#log}`);
    return this;
  }

  saysReady(): boolean {
    return this.#log.includes('"msg":"agent ready"');
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal); // does nothing when it has ended
  }

  /** Sends a signal and waits for the end. */
  async end(signal: NodeJS.Signals = "SIGTERM"): Promise<Pick<Ran, "exit" | "signal">> {
    this.signal(signal);
    return this.#done;
  }

  /** Waits until it ends without a signal from here. */
  get done(): Promise<Pick<Ran, "exit" | "signal">> {
    return this.#done;
  }

  /** Status that a health endpoint answers with; "000" while nobody listens there. */
  async get(path: string): Promise<string> {
    const url = `http://127.0.0.1:${this.port}${path}`;
    return this.#host.exec("sh", "-c", `curl -s -o /dev/null -w '%{http_code}' ${url} || true`);
  }

  /** Number of its open descriptors. */
  descriptors(): number {
    return readdirSync(`/proc/${this.pid}/fd`).length;
  }

  /** Resident memory in MB. */
  residentMb(): number {
    return useOf(this.pid).residentMb;
  }
}
