import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { dirname, join } from "node:path";
import type { Item } from "./collect.ts";

/** Where a node has its programs; the agent's container has another PATH. */
const FOLDERS = [
  "/usr/local/sbin",
  "/usr/local/bin",
  "/usr/sbin",
  "/usr/bin",
  "/sbin",
  "/bin",
  "/opt/bin",
  "/var/lib/rancher/rke2/bin",
];
const MOST_BYTES = 16 << 20;

/** Runs programs of the node, even from the agent's container, which has none. */
export class HostCommands {
  readonly #hostRoot: string;
  readonly #folders: readonly string[];

  constructor(hostRoot: string, folders: readonly string[] = FOLDERS) {
    this.#hostRoot = hostRoot;
    this.#folders = folders;
  }

  /** An item that is `not here` if the node has no such program. */
  item(path: string, program: string, ...args: string[]): Item {
    return { path, read: async (signal) => this.#run(program, args, signal) };
  }

  async #run(program: string, args: readonly string[], signal: AbortSignal): Promise<string | undefined> {
    const found = this.#folders.map((folder) => join(folder, program)).find((one) => this.#isThere(one));
    if (!found) return undefined;
    const helper = join(dirname(process.execPath), "railnet-host-exec");
    return this.#hostRoot === "/" ? output(found, args, signal) : output(helper, [found, ...args], signal);
  }

  #isThere(path: string): boolean {
    try {
      accessSync(join(this.#hostRoot, path), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  }
}

/** Its output; if it fails, followed by how it ended, since that is informative too. */
function output(program: string, args: readonly string[], signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const env = { PATH: FOLDERS.join(":"), LC_ALL: "C" }; // nothing of ours: it may contain secrets
  const child = spawn(program, args, {
    cwd: "/",
    env,
    stdio: ["ignore", "pipe", "pipe"],
    signal,
    killSignal: "SIGKILL",
  });
  const pieces: Buffer[] = [];
  let bytes = 0;
  const take = (piece: Buffer) => {
    bytes += piece.length;
    if (bytes <= MOST_BYTES) pieces.push(piece);
  };
  child.stdout.on("data", take);
  child.stderr.on("data", take);
  child.on("error", reject);
  child.on("close", (code, by) => {
    const said = Buffer.concat(pieces).toString("utf8");
    if (code === 0) return resolve(said);
    if (said.trim() === "") return reject(new Error(`${program} ended with ${by ?? code} and said nothing`));
    resolve(`${said.trimEnd()}\n# ended with ${by ?? `exit code ${code}`}\n`);
  });
  return promise;
}
