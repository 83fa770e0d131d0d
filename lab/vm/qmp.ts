import { connect } from "node:net";
import { createInterface } from "node:readline";

/**
 * Runs one command of QEMU's human monitor and returns what it prints.
 * @see https://www.qemu.org/docs/master/interop/qmp-spec.html (`human-monitor-command`)
 */
export async function humanMonitor(path: string, command: string): Promise<string> {
  const socket = connect(path);
  const send = (execute: string, args = {}) => socket.write(`${JSON.stringify({ execute, arguments: args })}\n`);
  try {
    let answers = 0;
    for await (const line of createInterface(socket)) {
      const message = JSON.parse(line);
      if (message.error) throw new Error(`cannot run "${command}" in the monitor: ${message.error.desc} (EINVAL)`);
      if (message.QMP) send("qmp_capabilities");
      else if ("return" in message && ++answers === 1) send("human-monitor-command", { "command-line": command });
      else if ("return" in message) return String(message.return).replaceAll("\r", "");
    }
    throw new Error(`cannot run "${command}" in the monitor: the machine ended (ECONNRESET)`);
  } finally {
    socket.destroy();
  }
}
