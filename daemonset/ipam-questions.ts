import { CniError, CODE } from "../cni/protocol/error.ts";
import type { Call } from "../cni/protocol/request.ts";
import type { AskOwn } from "../ipam/plugins.ts";
import { errorOf, type IpamReply } from "./ipam-reply.ts";
import type { IpamQuestion } from "./kernel-thread.ts";

/** No reply is waited for longer. */
const TIMEOUT_MS = 60_000;

/** The kernel thread's side of calling the IPAM plugin in the main thread. */
export class IpamQuestions {
  readonly #send: (question: IpamQuestion) => void;
  readonly #open = new Map<number, (reply: IpamReply) => void>();
  #next = 1;

  constructor(send: (question: IpamQuestion) => void) {
    this.#send = send;
  }

  /**
   * A caller that gives up tells the main thread, which undoes what it did.
   *
   * @throws {CniError} 11 when the time is up, the signal's reason; the plugin's error.
   */
  readonly ask: AskOwn = async (call, { timeoutMs = TIMEOUT_MS, signal }) => {
    const reply = await this.#reply(call, timeoutMs, signal);
    const error = errorOf(reply);
    if (error) throw error;
    return reply.result;
  };

  /** A reply that nobody awaits any more is dropped. */
  answered(id: number, reply: IpamReply): void {
    this.#open.get(id)?.(reply);
  }

  #reply(call: Call, timeoutMs: number, signal?: AbortSignal): Promise<IpamReply> {
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const giveUp = (why: unknown) => {
        done();
        this.#send({ ipam: id });
        reject(why);
      };
      const timer = setTimeout(() => giveUp(late(timeoutMs)), timeoutMs);
      const onAbort = () => giveUp(signal?.reason);
      const done = () => {
        clearTimeout(timer);
        signal?.removeEventListener("abort", onAbort);
        this.#open.delete(id);
      };
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#open.set(id, (reply) => {
        done();
        resolve(reply);
      });
      this.#send({ ipam: id, call });
    });
  }
}

const late = (timeoutMs: number): CniError =>
  new CniError(CODE.TRY_AGAIN_LATER, `cannot run plugin "railnet-ipam": no answer within ${timeoutMs} ms`);
