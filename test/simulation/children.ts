import { spawn } from "node:child_process";
import { once } from "node:events";

export interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** Runs `npm run simulate` with these arguments, in a process of its own: the simulation takes over time and chance. */
export async function simulate(args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Ended> {
  const argv = ["--import", "./lab/simulation/hooks.ts", "lab/simulation/main.ts", ...args];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, ...env } });
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding("utf8").on("data", (text) => (output += text));
  const [code] = await once(child, "close");
  return { code, output };
}
