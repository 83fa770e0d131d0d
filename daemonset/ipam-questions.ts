import type { AnswerIpam } from "../cni/own-ipam.ts";
import { ExecError } from "../cni/protocol/child.ts";
import type { CniResponse } from "../cni/protocol/request.ts";
import type { Question } from "./lane.ts";

/** The kernel thread's side of asking the IPAM plugin in the main thread. */
export class IpamQuestions {
  readonly #send: (question: Question) => void;
  readonly #open = new Map<number, (response: CniResponse) => void>();
  #next = 1;

  constructor(send: (question: Question) => void) {
    this.#send = send;
  }

  /** Rejects with ETIMEDOUT, or the signal's reason; the main thread is told then, and undoes what it did. */
  readonly ask: AnswerIpam = (request, { timeoutMs, signal }) => {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const giveUp = (why: unknown) => {
        done();
        this.#send({ ipam: id });
        reject(why);
      };
      const late = () => giveUp(new ExecError(`no answer within ${timeoutMs} ms`, "ETIMEDOUT"));
      const timer = setTimeout(late, timeoutMs);
      const onAbort = () => giveUp(signal?.reason);
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#open.delete(id);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#open.set(id, (response) => {
        done();
        resolve(response);
      });
      this.#send({ ipam: id, request });
    });
  };

  /** An answer that nobody waits for any more is dropped. */
  answered(id: number, response: CniResponse): void {
    this.#open.get(id)?.(response);
  }
}
