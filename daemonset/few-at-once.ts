import type { Exec, ExecRequest } from "../cni/protocol/delegate.ts";

/** Limit on concurrent foreign IPAM plugins: they run in the agent's cgroup, and a burst of pods would fill it with them. */
const AT_ONCE = 8;

/** ADDs among them: the rest is for ending pods, which hanging plugins must not delay. */
const ADDS_AT_ONCE = 6;

/** Minimum time for a plugin whose turn came late. */
const LEAST_MS = 5_000;

/** Asks for a turn; `go` is called when it comes. @returns a function that ends the turn, or the wait for it. Idempotent. */
export type Take = (isAdd: boolean, go: () => void) => () => void;

interface Waiting {
  readonly isAdd: boolean;
  readonly go: () => void;
}

/** A limited number of turns: other calls come before ADDs, otherwise in order. */
export class FewAtOnce {
  readonly #atOnce: number;
  readonly #addsAtOnce: number;
  readonly #waiting: Waiting[] = [];
  readonly #running = new Set<Waiting>();

  constructor(atOnce = AT_ONCE, addsAtOnce = ADDS_AT_ONCE) {
    this.#atOnce = atOnce;
    this.#addsAtOnce = addsAtOnce;
  }

  readonly take: Take = (isAdd, go) => {
    const one = { isAdd, go };
    if (this.#mayRun(one)) this.#start(one);
    else this.#waiting.push(one);
    return () => {
      if (this.#waiting.includes(one)) this.#waiting.splice(this.#waiting.indexOf(one), 1);
      else if (this.#running.delete(one)) this.#startNext();
    };
  };

  #startNext(): void {
    const next =
      this.#waiting.find((one) => !one.isAdd && this.#mayRun(one)) ?? this.#waiting.find((one) => this.#mayRun(one));
    if (!next) return;
    this.#waiting.splice(this.#waiting.indexOf(next), 1);
    this.#start(next);
  }

  #mayRun({ isAdd }: Waiting): boolean {
    const adding = [...this.#running].filter((one) => one.isAdd).length;
    return this.#running.size < this.#atOnce && (!isAdd || adding < this.#addsAtOnce);
  }

  #start(one: Waiting): void {
    this.#running.add(one);
    one.go();
  }
}

/** The agent's: its kernel threads, each of which runs the plugins of its own attachments, ask the main thread. */
export const FOREIGN_IPAM = new FewAtOnce();

/**
 * Runs plugins in turn. Waiting counts: one that does not get its turn within its timeout rejects as if the plugin had not
 * answered (`ETIMEDOUT`), and with the signal's reason if that is aborted.
 */
export function inTurn(exec: Exec, take: Take): Exec {
  return async (request) => {
    const beganMs = performance.now();
    const turn = Promise.withResolvers<void>();
    const end = take(request.env["CNI_COMMAND"] === "ADD", turn.resolve);
    try {
      await patience(request, turn);
      return await exec({ ...request, timeoutMs: leftOf(request.timeoutMs, performance.now() - beganMs) });
    } finally {
      end();
    }
  };
}

/** All of it after hardly any wait, and never less than a plugin needs, or than was given. */
const leftOf = (timeoutMs: number, waitedMs: number): number =>
  Math.min(timeoutMs, Math.max(Math.round(timeoutMs - waitedMs), LEAST_MS));

async function patience({ binary, timeoutMs, signal }: ExecRequest, turn: PromiseWithResolvers<void>): Promise<void> {
  const late = `other IPAM plugins ran for ${timeoutMs / 1000} s, and ${binary} had no turn (ETIMEDOUT)`;
  const timer = setTimeout(() => turn.reject(Object.assign(new Error(late), { code: "ETIMEDOUT" })), timeoutMs);
  const abort = () => turn.reject(signal?.reason);
  signal?.addEventListener("abort", abort, { once: true });
  try {
    if (signal?.aborted) abort();
    await turn.promise;
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", abort);
  }
}
