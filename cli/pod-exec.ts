import type { Access } from "../kubernetes/access.ts";

/** Channels of a command in a pod, k8s.io/apimachinery pkg/util/remotecommand/constants.go. */
const STDOUT = 1;
const STDERR = 2;
const ERROR = 3;
const V4 = "v4.channel.k8s.io";
/** Of Kubernetes 1.30: can end standard input alone, by channel 255 and the one to end. */
const V5 = "v5.channel.k8s.io";
const CLOSE_STDIN = Buffer.from([255, 0]);

export interface PodCommand {
  readonly namespace: string;
  readonly pod: string;
  readonly container: string;
  readonly command: readonly string[];
  /** More than this of its output is not taken. */
  readonly mostBytes: number;
}

/** How a command in a pod ended. */
export interface PodOutcome {
  /** Empty: it went well. What the kubelet says of it otherwise. */
  readonly failure: string;
  /** Its exit status, where it came to its end. */
  readonly exit?: number;
  readonly stdout: Buffer;
  /** Its end. */
  readonly stderr: string;
}

/** A command in a pod that runs. */
export interface RunningInPod {
  /** Rejects when it is not known how it ended. */
  readonly outcome: Promise<PodOutcome>;
  /** Ends its standard input; without a word where the API server cannot do that alone. */
  endInput(): void;
  /** Lets go of it, at once. */
  leave(why: string): void;
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
 * @param hasInput its standard input stays open until `endInput()`, or the connection ends; else it has none.
 */
export function startInPod(access: Access, command: PodCommand, hasInput: boolean): RunningInPod {
  const { promise, resolve, reject } = Promise.withResolvers<PodOutcome>();
  promise.catch(() => {}); // who left does not wait for it
  const socket = open(access, command, hasInput);
  const pieces: Buffer[] = [];
  let [bytes, stderr, status] = [0, "", ""];
  const leave = (why: string) => {
    reject(new Error(`cannot run ${command.command[0]} in pod ${command.namespace}/${command.pod}: ${why}`));
    (socket as { terminate?(): void }).terminate?.(); // close() waits for the peer, which may be silent for good
    socket.close();
  };
  socket.addEventListener("message", ({ data }) => {
    const message = Buffer.from(data as ArrayBuffer);
    const content = message.subarray(1);
    if (message[0] === STDOUT) {
      bytes += content.length;
      if (bytes > command.mostBytes) return leave(`it prints more than ${Math.ceil(command.mostBytes / 2 ** 20)} MB`);
      pieces.push(content);
    }
    if (message[0] === STDERR) stderr = `${stderr}${content}`.slice(-4_000);
    if (message[0] === ERROR) status += content;
  });
  socket.addEventListener("error", () => leave("the API server does not open a connection to it (is exec allowed?)"));
  socket.addEventListener("close", ({ reason }) => {
    const end = endOf(status);
    if (!end) return leave([reason || "the connection ended", stderr.trim()].filter(Boolean).join(": "));
    resolve({ ...end, stdout: Buffer.concat(pieces), stderr });
  });
  const endInput = () => {
    if (socket.readyState === WebSocket.OPEN && socket.protocol === V5) socket.send(CLOSE_STDIN);
    else leave("its input was ended");
  };
  return { outcome: promise, endInput, leave };
}

function open({ server, tls, headers }: Access, command: PodCommand, hasInput: boolean): WebSocket {
  const { namespace, pod, container } = command;
  const query = new URLSearchParams([
    ["container", container],
    ["stdout", "true"],
    ["stderr", "true"],
    ...(hasInput ? [["stdin", "true"] as [string, string]] : []),
  ]);
  for (const word of command.command) query.append("command", word);
  const url = `${server.replace(/^http/, "ws")}/api/v1/namespaces/${namespace}/pods/${pod}/exec?${query}`;
  const single = Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, String(value)]));
  const options: BunWebSocketOptions = { protocols: hasInput ? [V5, V4] : [V4], headers: single, tls };
  const socket = new WebSocket(url, options as never);
  socket.binaryType = "arraybuffer";
  return socket;
}

interface Status {
  readonly status?: string;
  readonly message?: string;
  readonly reason?: string;
  readonly details?: { readonly causes?: readonly { readonly reason?: string; readonly message?: string }[] };
}

/** Of a `metav1.Status` on the error channel; undefined when none came. */
function endOf(text: string): Pick<PodOutcome, "failure" | "exit"> | undefined {
  if (!text) return undefined;
  const { status, message = "it failed", reason, details } = JSON.parse(text) as Status;
  if (status === "Success") return { failure: "", exit: 0 };
  const code = details?.causes?.find((cause) => cause.reason === "ExitCode")?.message;
  return { failure: message, ...(reason === "NonZeroExitCode" && code && { exit: Number(code) }) };
}
