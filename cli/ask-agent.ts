import { connect } from "node:net";
import { join } from "node:path";
import { CONTROL, type ControlAnswer, type ControlRequest } from "../daemonset/control.ts";
import { encodeRequest, readReply } from "../daemonset/frames.ts";
import { codeOf } from "../kernel/errno.ts";

/** This node's agent does not answer; the message says why, and what to do. */
export class AgentSilentError extends Error {
  override readonly name = "AgentSilentError";
}

const TIME_LIMIT_MS = 3_000;

/**
 * Asks the agent of this node, over the shim's socket.
 *
 * @throws {AgentSilentError} if there is none, or one that does not answer within 3 s.
 * @throws {Error} with the agent's own message if it refuses.
 */
export async function askAgent<Q extends ControlRequest>(runDir: string, question: Q): Promise<ControlAnswer<Q>> {
  const socket = join(runDir, "agent.sock");
  const request = encodeRequest({ name: CONTROL, env: {}, stdin: JSON.stringify(question) });
  const reply = readReply(await exchange(socket, request));
  if (!reply?.stdout) throw new AgentSilentError("the agent is of a version that does not answer this");
  const answer = JSON.parse(reply.stdout);
  if (reply.exit !== 0) throw new Error(answer.msg);
  return answer;
}

function exchange(path: string, request: Buffer): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const pieces: Buffer[] = [];
  const connection = connect(path);
  const late = setTimeout(() => {
    connection.destroy();
    reject(new AgentSilentError(`the agent accepted the connection to ${path} and did not answer: check its log`));
  }, TIME_LIMIT_MS);
  connection.on("connect", () => connection.write(request));
  connection.on("data", (piece: Buffer) => pieces.push(piece));
  connection.on("end", () => resolve(Buffer.concat(pieces)));
  connection.on("error", (error) => reject(new AgentSilentError(why(path, codeOf(error) ?? ""), { cause: error })));
  return promise.finally(() => {
    clearTimeout(late);
    connection.destroy();
  });
}

function why(path: string, code: string): string {
  if (code === "ENOENT") return `no agent runs: there is no ${path}; the DaemonSet starts one, or \`railnet agent\``;
  if (code === "ECONNREFUSED") return `no agent runs: nobody listens at ${path}; check the log of the last one`;
  if (code === "EACCES") return `the agent answers only root (${path})`;
  return `the agent does not answer at ${path} (${code})`;
}
