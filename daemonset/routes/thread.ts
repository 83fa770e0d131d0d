import type { Log, Paths } from "../../cni/host.ts";
import type { RailPeerSpec } from "./object.ts";
import type { RoutesJob, RoutesNews, RoutesOrder, RoutesReport } from "./order.ts";
import type { RailReach } from "./rail-reach.ts";

export interface RoutesThreadOptions {
  readonly open: () => Worker;
  readonly paths: Pick<Paths, "stateDir" | "sysfs">;
  readonly bootId: string;
  readonly log: Log;
  /** What this node is to publish has changed. */
  readonly onIdentity: (identity: RailPeerSpec | undefined) => void;
  /** How many nodes rails reach has changed. */
  readonly onReach: (rails: readonly RailReach[]) => void;
}

/** A thread that ended by a defect is opened anew so much later. */
const AGAIN_MS = 10_000;

/**
 * The thread that keeps a node's routes: the kernel thread may wait for a driver for seconds, and what asks neighbours must not.
 * When it ends, routes stay as they are; the next one adopts them.
 */
export class RoutesThread {
  readonly #options: RoutesThreadOptions;
  readonly #asked = new Map<number, (report: RoutesReport) => void>();
  #worker: Worker;
  #order: RoutesOrder | undefined;
  #next = 1;
  #isEnded = false;

  constructor(options: RoutesThreadOptions) {
    this.#options = options;
    this.#worker = this.#open();
  }

  follow(order: RoutesOrder | undefined): void {
    this.#order = order;
    this.#tell({ do: "follow", order });
  }

  /** Undefined when the thread does not answer within `ms`. */
  report(ms: number): Promise<RoutesReport | undefined> {
    const id = this.#next++;
    const { promise, resolve } = Promise.withResolvers<RoutesReport | undefined>();
    this.#asked.set(id, resolve);
    setTimeout(resolve, ms).unref();
    this.#tell({ do: "report", id });
    return promise.finally(() => this.#asked.delete(id));
  }

  terminate(): void {
    this.#isEnded = true;
    this.#worker.terminate();
  }

  #open(): Worker {
    const { open, paths, bootId } = this.#options;
    const worker = open();
    worker.onmessage = ({ data }: MessageEvent<RoutesNews>) => this.#hear(data);
    worker.onerror = ({ message }: ErrorEvent) => this.#again(message);
    worker.postMessage({ do: "start", stateDir: paths.stateDir, sysfs: paths.sysfs, bootId } satisfies RoutesJob);
    return worker;
  }

  #again(why: string): void {
    this.#options.log.warn({ why }, "the thread of the routes over rails ended: another one is opened soon");
    this.#worker.terminate();
    setTimeout(() => {
      if (this.#isEnded) return;
      this.#worker = this.#open();
      this.follow(this.#order);
    }, AGAIN_MS).unref();
  }

  #tell(job: RoutesJob): void {
    this.#worker.postMessage(job);
  }

  #hear(news: RoutesNews): void {
    if (news.news === "identity") this.#options.onIdentity(news.identity);
    else if (news.news === "reach") this.#options.onReach(news.rails);
    else if (news.news === "log") this.#options.log[news.line.level](news.line.fields, news.line.message);
    else this.#asked.get(news.id)?.(news.report);
  }
}
