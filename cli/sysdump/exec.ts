import type { Access } from "../../kubernetes/access.ts";

/** Channels of a command in a pod, k8s.io/apimachinery pkg/util/remotecommand/constants.go. Version 5 adds only how standard input ends. */
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const PROTOCOL = "v4.channel.k8s.io";

export interface PodCommand {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** More than this of its output is not taken. */
  readonly mostBytes: number;
}

/** What Bun's WebSocket takes and the browsers' does not. */
interface BunWebSocketOptions {
  readonly protocols: readonly string[];
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: object;
}

/**
 * Runs a command in a pod, over a WebSocket as kubectl does. Only under Bun.
 *
 * @returns its standard output.
 * @throws {Error} with the end of its standard error when it fails, or with what the API server or the kubelet says.
 */
export function execInPod(access: Access, command: PodCommand, signal: AbortSignal): Promise<Buffer> {
  const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
  const socket = open(access, command);
  const pieces: Buffer[] = [];
  let [bytes, said, outcome] = [0, "", ""];
  const fail = (why: string) => {
    reject(new Error(`cannot run ${command.command[0]} in pod ${command.namespace}/${command.pod}: ${why}`));
    (socket as { terminate?(): void }).terminate?.(); // close() waits for the peer, which may be silent for good
    socket.close();
  };
  signal.addEventListener("abort", () => fail("no answer in time"), { once: true });
  socket.addEventListener("message", ({ data }) => {
    const message = Buffer.from(data as ArrayBuffer);
    const content = message.subarray(1);
    if (message[0] === STDOUT) {
      bytes += content.length;
      if (bytes > command.mostBytes) return fail(`it prints more than ${command.mostBytes >> 20} MB`);
      pieces.push(content);
    }
    if (message[0] === STDERR) said = `${said}${content}`.slice(-1_000);
    if (message[0] === ERROR) outcome += content;
  });
  socket.addEventListener("error", () => fail("the API server does not open a connection to it (is exec allowed?)"));
  socket.addEventListener("close", ({ reason }) => {
    const why = failureOf(outcome);
    if (why === undefined) resolve(Buffer.concat(pieces));
    else fail([why || reason || "the connection ended", said.trim()].filter(Boolean).join(": "));
  });
  return promise;
}

function open({ server, tls, headers }: Access, { namespace, pod, container, command }: PodCommand): WebSocket {
  const query = new URLSearchParams([
    ["container", container],
    ["stdout", "true"],
    ["stderr", "true"],
  ]);
  for (const word of command) query.append("command", word);
  const url = `${server.replace(/^http/, "ws")}/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`;
  const single = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  const options: BunWebSocketOptions = { protocols: [PROTOCOL], headers: single, tls };
  const socket = new WebSocket(url, options as never);
  socket.binaryType = "arraybuffer";
  return socket;
}

/** Of a `metav1.Status` on the error channel. @returns undefined when it went well; empty when none came. */
function failureOf(outcome: string): string | undefined {
  if (!outcome) return "";
  const { status, message } = JSON.parse(outcome) as { status?: string; message?: string };
  return status === "Success" ? undefined : (message ?? "it failed");
}
