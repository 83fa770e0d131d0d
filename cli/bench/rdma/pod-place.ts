import type { ReadAccess } from "../../../kubernetes/access.ts";
import { startInPod } from "../../pod-exec.ts";
import type { Place, ShellLimits, ShellReply } from "./place.ts";
import { CONTAINER } from "./pods.ts";
import { UNTIL_INPUT_ENDS } from "./until-input-ends.ts";

/** A place could not be asked, or did not answer: nothing of what it measured. */
export class PlaceError extends Error {
  override readonly name = "PlaceError";
}

const MOST_BYTES = 8 << 20;
/** A command that was told to end says so in less. */
const GRACE_MS = 5_000;

export interface PodOfBench {
  readonly namespace: string;
  readonly pod: string;
}

/** A pod, whose commands run by the API server's exec. Only under Bun. */
export const podPlace = (name: string, pod: PodOfBench, access: ReadAccess): Place => ({
  name,
  sh: (text, limits) => run(name, pod, access, text, limits),
});

async function run(
  name: string,
  pod: PodOfBench,
  access: ReadAccess,
  text: string,
  { signal, limitMs }: ShellLimits,
): Promise<ShellReply> {
  signal.throwIfAborted();
  const command = ["sh", "-c", UNTIL_INPUT_ENDS, "sh", text];
  const running = startInPod(
    await access(false),
    { ...pod, container: CONTAINER, command, mostBytes: MOST_BYTES },
    true,
  );
  let stoppedBy: unknown;
  let killer: NodeJS.Timeout | undefined;
  const stop = (why: unknown) => {
    stoppedBy ??= why;
    running.endInput();
    killer ??= setTimeout(() => running.leave("it does not end"), GRACE_MS);
  };
  const onAbort = () => stop(signal.reason);
  signal.addEventListener("abort", onAbort);
  const late = new PlaceError(`cannot run a command at ${name}: no end within ${limitMs} ms (ETIMEDOUT)`);
  const limit = setTimeout(() => stop(late), limitMs);
  try {
    const { failure, exit, stdout, stderr } = await running.outcome;
    if (stoppedBy) throw stoppedBy;
    if (exit === undefined) throw new Error(failure);
    return { exit, stdout: stdout.toString(), stderr };
  } catch (error) {
    if (stoppedBy) throw stoppedBy;
    throw new PlaceError(`cannot run a command at ${name}: ${(error as Error).message}`);
  } finally {
    clearTimeout(limit);
    clearTimeout(killer);
    signal.removeEventListener("abort", onAbort);
  }
}
