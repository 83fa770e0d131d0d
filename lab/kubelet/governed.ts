import { until } from "../until.ts";
import type { Computer } from "./computer.ts";

/** Waits until no RailNetwork gives VFs of a node to pods: networks written by hand may have them again. */
export async function ungoverned(node: Computer): Promise<void> {
  const governed = async () => (await node.run(["test", "-e", "/var/lib/railnet/governed-rails.json"])).exit === 0;
  await until("no RailNetwork has the VFs", async () => !(await governed()), { limitMs: 600_000, everyMs: 500 });
}

/** What the agent of a node has in memory, in MB: the lowest of some looks at `VmRSS`, since garbage collection makes a sawtooth. */
export async function agentMb(node: Computer): Promise<number> {
  const look =
    "for i in $(seq 20); do for pid in $(pgrep -x railnet); do grep VmRSS /proc/$pid/status; done; sleep 0.5; done";
  const sizes = (await node.exec(["sh", "-c", look])).match(/\d+/g) ?? [];
  return Math.min(...sizes.map(Number)) / 1024;
}
