import type { CniRequest, CniResponse } from "../cni/protocol/request.ts";
import type { Repair } from "./reconcile/plan.ts";

/** Work for the thread that talks to the kernel. `abort` names the job that its caller gave up. */
export type Job =
  | { readonly kind: "request"; readonly id: number; readonly request: CniRequest }
  | { readonly kind: "reconcile"; readonly id: number }
  | { readonly kind: "abort"; readonly id: number };

/** The thread's answer to one job. */
export interface Answer {
  readonly id: number;
  readonly response?: CniResponse;
  readonly repairs?: readonly Repair[];
  readonly error?: string;
}

interface Waiting {
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/**
 * A worker thread for everything that blocks in the kernel: a netns move takes 20 to 100 ms, firmware seconds. One is
 * enough: rtnetlink serialises most of it anyway (4 ADDs on 4 PFs take as long as on one). Should the thread end, what
 * it was doing fails, and a new one goes on; the journal knows the rest.
 */
export class Lane {
  readonly #start: () => Worker;
  readonly #waiting = new Map<number, Waiting>();
  #worker: Worker;
  #next = 1;

  constructor(start: () => Worker) {
    this.#start = start;
    this.#worker = this.#listen(start());
  }

  /** @throws {Error} when the thread ended meanwhile. */
  async request(request: CniRequest, signal: AbortSignal): Promise<CniResponse> {
    const id = this.#next++;
    const abort = () => this.#worker.postMessage({ kind: "abort", id } satisfies Job);
    signal.addEventListener("abort", abort, { once: true });
    try {
      return (await this.#run({ kind: "request", id, request })).response!;
    } finally {
      signal.removeEventListener("abort", abort);
    }
  }

  async reconcile(): Promise<readonly Repair[]> {
    return (await this.#run({ kind: "reconcile", id: this.#next++ })).repairs ?? [];
  }

  terminate(): void {
    this.#worker.terminate();
  }

  #run(job: Job): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.set(job.id, { resolve, reject });
      this.#worker.postMessage(job);
    });
  }

  #listen(worker: Worker): Worker {
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error === undefined) waiting?.resolve(data);
      else waiting?.reject(new Error(data.error));
    };
    worker.onerror = (event: ErrorEvent) => this.#restart(event.message);
    return worker;
  }

  #restart(why: string): void {
    this.#worker.terminate();
    for (const { reject } of this.#waiting.values()) reject(new Error(`the kernel thread ended: ${why}`));
    this.#waiting.clear();
    this.#worker = this.#listen(this.#start());
  }
}
