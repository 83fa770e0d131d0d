import { spawn } from "node:child_process";
import { readFileSync, writeSync } from "node:fs";
import type { Exec } from "./delegate.ts";
import type { CniRequest, CniResponse } from "./request.ts";

export function readRequestFromProcess(name: string): CniRequest {
  const env = Object.fromEntries(
    Object.entries(process.env).filter(([k, v]) => k.startsWith("CNI_") && v !== undefined),
  ) as Record<string, string>;
  return { name, env, stdin: readFileSync(0, "utf8") };
}
export function writeResponse({ stdout, stderr }: CniResponse): void {
  for (const [fd, text] of [
    [1, stdout],
    [2, stderr],
  ] as const) {
    const bytes = Buffer.from(text);
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  }
}
export const execCommand: Exec = ({ binary, env, stdin, timeoutMs, signal }) =>
  new Promise((resolve, reject) => {
    const child = spawn(binary, [], {
      env: { PATH: process.env.PATH ?? "", ...env },
      timeout: timeoutMs,
      killSignal: "SIGKILL",
      ...(signal && { signal }),
    });
    const out: Buffer[] = [],
      err: Buffer[] = [];
    child.stdout.on("data", (d) => out.push(d));
    child.stderr.on("data", (d) => err.push(d));
    child.on("error", reject);
    child.on("close", (code, sig) =>
      sig
        ? reject(new Error(`${binary} was ended by ${sig}`))
        : resolve({ exit: code ?? 1, stdout: Buffer.concat(out).toString(), stderr: Buffer.concat(err).toString() }),
    );
    child.stdin.on("error", () => {});
    child.stdin.end(stdin);
  });
