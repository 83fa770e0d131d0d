import { connect } from "node:net";

/** A reply of the agent. */
export interface AgentReply {
  readonly exit: number;
  readonly stdout: string;
}

/** Asks the agent as the shim does (cni/shim/README.md), without a process: for thousands of calls. */
export function ask(
  socket: string,
  env: Readonly<Record<string, string>>,
  stdin: string,
  name = "railnet-sriov",
): Promise<AgentReply> {
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}\0`);
  const head = Buffer.from(`${name}\0${variables.join("")}`);
  const body = Buffer.from(stdin);
  const frame = Buffer.alloc(9);
  frame.writeUInt8(1, 0);
  frame.writeUInt32LE(head.length + body.length, 1);
  frame.writeUInt32LE(head.length, 5);
  return new Promise((resolve, reject) => {
    const connection = connect(socket);
    const pieces: Buffer[] = [];
    connection.on("error", reject);
    connection.on("data", (piece) => pieces.push(piece));
    connection.on("end", () => {
      const reply = Buffer.concat(pieces);
      if (reply.length < 8) return reject(new Error("the agent closed without a reply"));
      resolve({ exit: reply.readUInt32LE(0), stdout: reply.toString("utf8", 8) });
    });
    connection.write(Buffer.concat([frame, head, body]));
  });
}
