import { statSync } from "node:fs";
import { join } from "node:path";
import { CniError, CODE } from "./error.ts";
import type { Call, Verb } from "./request.ts";
import { parseResult, type Result } from "./result.ts";

export interface ExecRequest {
  readonly binary: string;
  readonly env: Record<string, string>;
  readonly stdin: string;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}
export interface ExecReply {
  readonly exit: number;
  readonly stdout: string;
  readonly stderr: string;
}
export type Exec = (request: ExecRequest) => Promise<ExecReply>;

export async function delegate(
  exec: Exec,
  verb: Verb,
  type: string,
  call: Call,
  { timeoutMs = 60_000, signal }: { timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<Result | undefined> {
  const binary = call.path
    .map((dir) => join(dir, type))
    .find((file) => statSync(file, { throwIfNoEntry: false })?.isFile());
  if (!binary || type.includes("/"))
    throw new CniError(CODE.FAILED, `failed to find plugin "${type}" in path [${call.path.join(" ")}]`);
  const reply = await exec({
    binary,
    env: { ...call.request.env, CNI_COMMAND: verb, CNI_NETNS: call.netns },
    stdin: call.request.stdin,
    timeoutMs,
    ...(signal && { signal }),
  });
  let json: any;
  try {
    json = reply.stdout ? JSON.parse(reply.stdout) : undefined;
  } catch {
    throw new CniError(CODE.FAILED, `cannot read what ${type} printed: ${reply.stdout.slice(0, 200)}`);
  }
  if (reply.exit !== 0)
    throw new CniError(
      json?.code ?? CODE.FAILED,
      json?.msg ?? `${type} failed: ${reply.stderr}`,
      json?.details ? { details: json.details } : {},
    );
  if (verb !== "ADD") return undefined;
  const result = parseResult(json, json?.cniVersion || call.config.cniVersion);
  if (result.ips.length === 0) throw new CniError(CODE.FAILED, "IPAM plugin returned missing IP config");
  return { ...result, interfaces: [], ips: result.ips.map(({ interface: _, ...ip }) => ip) };
}
