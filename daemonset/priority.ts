import { readdirSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import type { Log } from "../cni/host.ts";

/** As for Open vSwitch's daemons, which serve packets as the agent serves pods (ovs-ctl(8), `--ovs-vswitchd-priority`). */
const NICE = -10;

/**
 * Gives the agent priority over other busy processes. It is nearly always idle; but when many pods start at once, what
 * they all wait for must not queue behind what kubelet, runtime and Multus run for them. In the kernel each thread has its
 * own priority: threads created later inherit it, and so do other plugins that they start. Inside a container it counts
 * among the container's own threads (between containers the Pod's CPU request decides). Needs CAP_SYS_NICE; without it the agent runs as started.
 */
export function takePriority(log: Log): void {
  if (getPriority() <= NICE) return;
  try {
    for (const thread of readdirSync("/proc/self/task")) setPriority(Number(thread), NICE);
  } catch (error) {
    log.info(
      { nice: NICE, error: (error as Error).message },
      "cannot raise the agent's priority: running at the one it was started with",
    );
  }
}
