import type { Exec, ExecReply, ExecRequest } from "../cni/protocol/delegate.ts";

/** Foreign IPAM plugins that run at once: they are in the agent's cgroup, and a burst of pods would fill it with them. */
const AT_ONCE = 8;

/** ADDs among them: the rest is for what ends pods, which plugins that hang must not hold up. */
const ADDS_AT_ONCE = 6;

/** What a plugin has at least, whose turn came late. */
const LEAST_MS = 5_000;

interface Waiting {
  readonly isAdd: boolean;
  go(): void;
}

/**
 * Runs few plugins at once; the others wait, those that are no ADD before those that are, else in their order. Waiting counts: who is
 * not run within his own time rejects as if the plugin had not answered (`ETIMEDOUT`), and with the signal's reason when
 * that is aborted.
 */
export function fewAtOnce(exec: Exec, atOnce = AT_ONCE, addsAtOnce = ADDS_AT_ONCE): Exec {
  const waiting: Waiting[] = [];
  let [running, adding] = [0, 0];
  const mayRun = ({ isAdd }: Waiting) => running < atOnce && (!isAdd || adding < addsAtOnce);
  const start = (one: Waiting) => {
    running++;
    if (one.isAdd) adding++;
    one.go();
  };
  const ended = (one: Waiting) => {
    running--;
    if (one.isAdd) adding--;
    const next = waiting.find((other) => !other.isAdd && mayRun(other)) ?? waiting.find(mayRun);
    if (!next) return;
    waiting.splice(waiting.indexOf(next), 1);
    start(next);
  };
  return async (request): Promise<ExecReply> => {
    const turn = Promise.withResolvers<void>();
    const one: Waiting = { isAdd: request.env["CNI_COMMAND"] === "ADD", go: turn.resolve };
    const beganMs = performance.now();
    if (mayRun(one)) start(one);
    else {
      waiting.push(one);
      await patience(request, turn, () => {
        if (waiting.includes(one)) waiting.splice(waiting.indexOf(one), 1);
      });
    }
    try {
      return await exec({ ...request, timeoutMs: leftOf(request.timeoutMs, performance.now() - beganMs) });
    } finally {
      ended(one);
    }
  };
}

/** All of it for who did not wait, and never less than a plugin needs, or than was given. */
const leftOf = (timeoutMs: number, waitedMs: number): number =>
  Math.min(timeoutMs, Math.max(Math.round(timeoutMs - waitedMs), LEAST_MS));

async function patience(
  { binary, timeoutMs, signal }: ExecRequest,
  turn: PromiseWithResolvers<void>,
  giveUp: () => void,
): Promise<void> {
  const stop = (why: unknown) => {
    giveUp();
    turn.reject(why);
  };
  const late = `other IPAM plugins ran for ${timeoutMs / 1000} s, and ${binary} had no turn (ETIMEDOUT)`;
  const timer = setTimeout(() => stop(Object.assign(new Error(late), { code: "ETIMEDOUT" })), timeoutMs);
  const abort = () => stop(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) abort();
    await turn.promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
