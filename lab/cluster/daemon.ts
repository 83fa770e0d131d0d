import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync } from "node:fs";

/** A server process of a test. It dies with the test, however that ends. */
export class Daemon {
  readonly name: string;
  readonly pid: number;
  readonly #log: string;
  readonly #child: ChildProcess;
  readonly #done: Promise<void>;
  #ended = false;

  private constructor(name: string, child: ChildProcess, log: string) {
    this.name = name;
    this.pid = child.pid!;
    this.#child = child;
    this.#log = log;
    this.#done = new Promise((resolve) => {
      child.on("error", () => this.#end(resolve));
      child.on("close", () => this.#end(resolve));
    });
  }

  /** Starts one; its output goes to the file `log`. */
  static start(command: readonly string[], log: string, env: Readonly<Record<string, string>> = {}): Daemon {
    const output = openSync(log, "a");
    // TLS variables of a test machine would replace the certificates that a server is given.
    const child = spawn("setpriv", ["--pdeathsig", "KILL", ...command], {
      env: { PATH: process.env["PATH"] ?? "/usr/bin:/bin", HOME: "/", ...env },
      stdio: ["ignore", output, output],
    });
    child.unref(); // a test that fails without stopping it must still end
    closeSync(output);
    return new Daemon(command[0]!.replace(/.*\//, ""), child, log);
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** The last lines of its log. */
  tail(lines = 12): string {
    return readFileSync(this.#log, "utf8").trimEnd().split("\n").slice(-lines).join("\n");
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Stops it, by force after 5 s. */
  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
    if (this.#ended) return;
    this.#child.ref();
    this.signal(signal);
    const force = setTimeout(() => this.signal("SIGKILL"), 5000);
    await this.#done;
    clearTimeout(force);
  }

  #end(resolve: () => void): void {
    this.#ended = true;
    resolve();
  }
}
