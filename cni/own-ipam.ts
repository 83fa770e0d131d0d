import { basename } from "node:path";
import type { Exec, ExecReply } from "./protocol/delegate.ts";
import type { CniRequest } from "./protocol/request.ts";

/** Answers one call of the IPAM plugin without another process; as Exec, it rejects when the time is up or `signal` aborts. */
export type AnswerIpam = (
  request: CniRequest,
  limits: { timeoutMs: number; signal?: AbortSignal },
) => Promise<ExecReply>;

/** @param aliases names besides `railnet-ipam` that are ours on this node. */
export const isOwnIpam = (type: string, aliases: readonly string[]): boolean =>
  type === "railnet-ipam" || aliases.includes(type);

/**
 * Runs plugins, but for the IPAM plugin of this executable: running that would only bring the request back here.
 *
 * @param aliases names besides `railnet-ipam` that are ours on this node; without one a `whereabouts` is the real one.
 */
export function withOwnIpam(exec: Exec, aliases: readonly string[], answer: AnswerIpam): Exec {
  return (request) => {
    const name = basename(request.binary);
    if (!isOwnIpam(name, aliases)) return exec(request);
    return answer({ name, env: request.env, stdin: request.stdin }, request);
  };
}
