import { readdirSync } from "node:fs";
import { getPriority, setPriority } from "node:os";
import type { Log } from "../cni/host.ts";

/** Of Open vSwitch's daemons, which serve packets as the agent serves pods (ovs-ctl(8), `--ovs-vswitchd-priority`). */
const NICE = -10;

/**
 * Puts the agent before what else is busy. It is idle nearly always; but when many pods start at once, all that they wait
 * for must not queue behind what kubelet, runtime and Multus run for them. To the kernel a priority is a thread's: those that
 * come later have it too, and other plugins that they start. Inside a container it counts among the container's own threads
 * (between containers the Pod's CPU request decides). Needs CAP_SYS_NICE; without it the agent runs as it was started.
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
