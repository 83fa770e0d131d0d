import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";

const RAILNET = new URL("../../../../dist/railnet", import.meta.url).pathname;

export interface Ran {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
  /** Standard output, read as JSON. */
  // biome-ignore lint/suspicious/noExplicitAny: what the command printed, as it is
  readonly json: any;
}

export interface RunOptions {
  readonly env?: Readonly<Record<string, string>>;
  /** Default: an empty folder. */
  readonly cwd?: string;
  /** Standard input. */
  readonly input?: string;
  /** Called with what comes on standard error, while it runs. */
  readonly onMessage?: (text: string) => unknown;
}

/** Runs `railnet ipam …` as a process of its own, on a machine that has none of Railnet's files. */
export function ipam(args: readonly string[], { env = {}, cwd, input = "", onMessage = () => {} }: RunOptions = {}) {
  const nowhere = mkdtempSync(`${tmpdir()}/railnet-ipam-`);
  const child = spawn(RAILNET, ["ipam", ...args], {
    cwd: cwd ?? nowhere,
    env: {
      PATH: process.env["PATH"] ?? "/usr/bin:/bin",
      RAILNET_NODE_CONFIG: `${nowhere}/node.json`,
      RAILNET_STATE_DIR: `${nowhere}/state`,
      RAILNET_RUN_DIR: `${nowhere}/run`,
      ...env,
    },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text) => {
    output.stderr += text;
    onMessage(text);
  });
  child.stdin.on("error", () => {}).end(input); // EPIPE: it has refused its arguments, and is gone
  return new Promise<Ran>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => {
      rmSync(nowhere, { recursive: true });
      resolve({
        ...output,
        exit: code ?? -1,
        get json() {
          return JSON.parse(output.stdout);
        },
      });
    });
  });
}
