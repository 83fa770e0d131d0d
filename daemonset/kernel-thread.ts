import type { FenceOrder, FenceOutcome } from "../cni/attachment/fence.ts";
import type { Log } from "../cni/host.ts";
import type { Call, CniRequest, CniResponse } from "../cni/protocol/request.ts";
import { FOREIGN_IPAM } from "./few-at-once.ts";
import type { IpamReply } from "./ipam-reply.ts";
import type { LogLevel } from "./log-level.ts";
import type { RailAnswers, RailOrder } from "./rails/orders.ts";
import type { Repair } from "./reconcile/plan.ts";
import type { Scope } from "./reconcile/scope.ts";
import type { LogLine } from "./thread-log.ts";

/** How the host uses its own VFs, in words, by PCI address. */
export type HostUses = Readonly<Record<string, string>>;

/** Work for the thread that talks to the kernel. `abort` names the job that its caller gave up. */
export type Job =
  | { readonly kind: "request"; readonly id: number; readonly request: CniRequest; readonly scope?: Scope }
  | { readonly kind: "reconcile"; readonly id: number; readonly scope: Scope }
  | { readonly kind: "host-uses"; readonly id: number; readonly vfs: readonly string[] }
  | { readonly kind: "fence"; readonly id: number; readonly order: FenceOrder }
  | { readonly kind: "rail"; readonly id: number; readonly order: RailOrder }
  | { readonly kind: "ping"; readonly id: number }
  | { readonly kind: "log-level"; readonly level: LogLevel }
  | { readonly kind: "abort"; readonly id: number }
  | { readonly kind: "ipam"; readonly id: number; readonly reply: IpamReply }
  | { readonly kind: "turn"; readonly id: number };

/** The thread's answer to one job. */
export interface JobAnswer {
  readonly id: number;
  readonly response?: CniResponse;
  readonly repairs?: readonly Repair[];
  readonly hostUses?: HostUses;
  readonly fence?: FenceOutcome;
  readonly rail?: RailAnswers[RailOrder["do"]];
  readonly error?: string;
}

/** The thread's call in the middle of a job: the IPAM plugin lives in the main thread. Without a call: it gave up. */
export interface IpamQuestion {
  readonly ipam: number;
  readonly call?: Call;
}

/** Asks for a turn for a foreign IPAM plugin; without `isAdd` it has ended, or is no longer waited for. */
export interface TurnQuestion {
  readonly turn: number;
  readonly isAdd?: boolean;
}

export type AnswerQuestion = (call: Call, signal: AbortSignal) => Promise<IpamReply>;

/** A worker thread for everything that blocks in the kernel: a netns move takes 20 to 100 ms, firmware seconds. */
export class KernelThread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, (answer: JobAnswer) => void>();
  readonly #asking = new Map<number, AbortController>();
  readonly #turns = new Map<number, () => void>();
  readonly #ipam: AnswerQuestion;
  #next = 1;
  #pingedMs: number | undefined;

  /**
   * @param ipam answers the thread's calls of the IPAM plugin.
   * @param log says what the thread has to say.
   * @param onEnd the thread ended unexpectedly. Its locks outlive it, so the process must end too.
   */
  constructor(worker: Worker, ipam: AnswerQuestion, log: Log, onEnd: (why: string) => void) {
    this.#worker = worker;
    this.#ipam = ipam;
    worker.onmessage = ({ data }: MessageEvent<JobAnswer | IpamQuestion | TurnQuestion | LogLine>) => {
      if ("level" in data) return log[data.level](data.fields, data.message);
      if ("turn" in data) return this.#turn(data);
      if ("ipam" in data) return void this.#answer(data);
      this.#waiting.get(data.id)?.(data);
      this.#waiting.delete(data.id);
    };
    worker.onerror = (event: ErrorEvent) => onEnd(event.message);
  }

  /**
   * @param scope for a GC: whose attachments; all by default.
   * @throws {Error} only for a defect of the thread; a verb's error is in the response.
   */
  async request(request: CniRequest, signal: AbortSignal, scope?: Scope): Promise<CniResponse> {
    const id = this.#next++;
    const abort = () => this.#worker.postMessage({ kind: "abort", id } satisfies Job);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return (await this.#run({ kind: "request", id, request, ...(scope && { scope }) })).response!;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async reconcile(scope: Scope): Promise<readonly Repair[]> {
    return (await this.#run({ kind: "reconcile", id: this.#next++, scope })).repairs ?? [];
  }

  /** Those of these VFs that the host uses. */
  async hostUses(vfs: readonly string[]): Promise<HostUses> {
    return (await this.#run({ kind: "host-uses", id: this.#next++, vfs })).hostUses ?? {};
  }

  /** @throws {Error} why it cannot be done now. */
  async fence(order: FenceOrder): Promise<FenceOutcome> {
    return (await this.#run({ kind: "fence", id: this.#next++, order })).fence!;
  }

  /** @throws {Error} as the order's. */
  async rail<O extends RailOrder>(order: O): Promise<RailAnswers[O["do"]]> {
    return (await this.#run({ kind: "rail", id: this.#next++, order })).rail as RailAnswers[O["do"]];
  }

  /** How long the thread has owed a sign of life; asks for one, unless it already does. */
  silentMs(): number {
    if (this.#pingedMs !== undefined) return performance.now() - this.#pingedMs;
    this.#pingedMs = performance.now();
    void this.#run({ kind: "ping", id: this.#next++ }).finally(() => (this.#pingedMs = undefined));
    return 0;
  }

  setLogLevel(level: LogLevel): void {
    this.#worker.postMessage({ kind: "log-level", level } satisfies Job);
  }

  terminate(): void {
    this.#worker.terminate();
  }

  async #answer({ ipam: id, call }: IpamQuestion): Promise<void> {
    if (!call) return this.#asking.get(id)?.abort(new Error("the caller gave up on the attachment"));
    const abort = new AbortController();
    this.#asking.set(id, abort);
    const reply = await this.#ipam(call, abort.signal);
    this.#asking.delete(id);
    this.#worker.postMessage({ kind: "ipam", id, reply } satisfies Job);
  }

  #turn({ turn: id, isAdd }: TurnQuestion): void {
    const go = () => this.#worker.postMessage({ kind: "turn", id } satisfies Job);
    if (isAdd !== undefined) return void this.#turns.set(id, FOREIGN_IPAM.take(isAdd, go));
    this.#turns.get(id)?.();
    this.#turns.delete(id);
  }

  async #run(
    job: Extract<Job, { kind: "request" | "reconcile" | "host-uses" | "fence" | "rail" | "ping" }>,
  ): Promise<JobAnswer> {
    const answer = await new Promise<JobAnswer>((resolve) => {
      this.#waiting.set(job.id, resolve);
      this.#worker.postMessage(job);
    });
    if (answer.error !== undefined) throw new Error(answer.error);
    return answer;
  }
}
