import type { Access } from "../../kubernetes/access.ts";
import { type PodCommand, startInPod } from "../pod-exec.ts";

/**
 * Runs a command in a pod. Only under Bun.
 *
 * @returns its standard output.
 * @throws {Error} with the end of its standard error if it fails, or with the message of the API server or the kubelet.
 */
export async function execInPod(access: Access, command: PodCommand, signal: AbortSignal): Promise<Buffer> {
  const running = startInPod(access, command, false);
  signal.addEventListener("abort", () => running.leave("no answer in time"), { once: true });
  const { failure, stdout, stderr } = await running.outcome;
  if (!failure) return stdout;
  const why = [failure, stderr.trim().slice(-1_000)].filter(Boolean).join(": ");
  throw new Error(`cannot run ${command.command[0]} in pod ${command.namespace}/${command.pod}: ${why}`);
}
