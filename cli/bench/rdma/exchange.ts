import type { PathEnd } from "./path.ts";
import type { Place, ShellLimits, ShellReply } from "./place.ts";

/**
 * Runs a server at one end and, once it listens, its client at the other; resolves with what the client prints. When this
 * settles, nothing of it runs any more, at either end.
 */
export async function exchange(
  [client, server]: readonly [PathEnd, PathEnd],
  port: number,
  serve: string,
  send: string,
  { signal, limitMs }: ShellLimits,
): Promise<string> {
  const stop = new AbortController();
  const started: Promise<ShellReply>[] = [];
  const run = ({ place }: PathEnd, text: string): Promise<ShellReply> => {
    const running = place.sh(text, { signal: AbortSignal.any([signal, stop.signal]), limitMs });
    started.push(running);
    return running;
  };
  try {
    const served = run(server, serve).then((reply) => outcome(server.place, "server", reply));
    await Promise.race([run(server, untilListening(port)), served]);
    const sent = run(client, send).then((reply) => outcome(client.place, "client", reply));
    const [output] = await Promise.all([sent, served]);
    return output;
  } finally {
    stop.abort(new Error("the other end failed"));
    await Promise.allSettled(started);
  }
}

/** 0A is LISTEN; IPv4 and IPv6 have a file each. */
const untilListening = (port: number): string => {
  const hex = port.toString(16).toUpperCase().padStart(4, "0");
  return `until cat /proc/net/tcp /proc/net/tcp6 2> /dev/null | grep -q ":${hex} [0-9A-F]*:0000 0A"; do sleep 0.1; done`;
};

/** What it printed; throws with its last words, which perftest says on either stream and iperf3 in its JSON. */
function outcome(place: Place, role: string, { exit, stdout, stderr }: ShellReply): string {
  if (exit === 0) return stdout;
  const json = /"error":\s*"([^"]*)"/.exec(stdout)?.[1];
  const words = (json ?? (stderr.trim() || stdout))
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line && !/^[-*]+$/.test(line));
  throw new Error(`${role} on ${place.name}: ${words.slice(-3).join("; ") || "said nothing"} (exit ${exit})`);
}
