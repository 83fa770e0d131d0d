import { setTimeout as sleep } from "node:timers/promises";
import t, { type Test } from "tap";
import { type KeepReconcilingOptions, keepReconciling } from "../../../daemonset/reconcile/keep-reconciling.ts";
import { KeptLog } from "../support/log.ts";

/** A reconciler whose runs end when they are told to, beside signs that the test sets. */
class Node {
  signs = "a";
  isOwed = false;
  readonly log = new KeptLog();
  /** When each run began. */
  readonly begun: number[] = [];
  readonly #running: PromiseWithResolvers<void>[] = [];
  #stop = () => {};

  /** Begun, and its first run done. */
  static async start(t: Test, options: Partial<KeepReconcilingOptions> = {}): Promise<Node> {
    const node = new Node();
    const kept = keepReconciling({
      reconcile: () => node.#reconcile(),
      signs: () => node.signs,
      isOwed: () => node.isOwed,
      everyMs: 3_600_000,
      log: node.log,
      lookMs: 5,
      settleMs: 10,
      failedMs: 20,
      owedMs: [10, 80],
      ...options,
    });
    await node.ran(1);
    node.end();
    node.#stop = await kept;
    t.teardown(() => node.#stop());
    return node;
  }

  /** The run that goes on ends, as it is told. */
  end(error?: Error): void {
    const run = this.#running.shift()!;
    if (error) run.reject(error);
    else run.resolve();
  }

  stop(): void {
    this.#stop();
  }

  /** Waits until so many runs have begun. */
  async ran(count: number): Promise<void> {
    while (this.begun.length < count) await sleep(1);
  }

  #reconcile(): Promise<void> {
    this.begun.push(performance.now());
    const run = Promise.withResolvers<void>();
    this.#running.push(run);
    return run.promise;
  }
}

/** Long enough for many looks. */
const AWHILE_MS = 200;

t.test("keepReconciling() runs at a change, once it has settled, and not without one", async (t) => {
  const node = await Node.start(t);
  await sleep(AWHILE_MS);
  t.equal(node.begun.length, 1);
  node.signs = "b";
  await node.ran(2);
  node.end();
  await sleep(AWHILE_MS);
  t.equal(node.begun.length, 2);
});

t.test("keepReconciling() runs once more for what changed while a run went on, however long", async (t) => {
  const node = await Node.start(t);
  node.signs = "b";
  await node.ran(2);
  node.signs = "c";
  await sleep(AWHILE_MS); // looked at, and settled, while the run goes on
  t.equal(node.begun.length, 2, "one run at a time");
  node.end();
  await node.ran(3);
});

t.test("keepReconciling() runs where signs never rest", async (t) => {
  const node = await Node.start(t);
  let count = 0;
  const restless = setInterval(() => (node.signs = `${count++}`), 2);
  t.teardown(() => clearInterval(restless));
  await node.ran(2);
  node.end();
  await node.ran(3);
});

t.test("keepReconciling() tries again and again, ever more seldom, while something is owed", async (t) => {
  const node = await Node.start(t);
  node.isOwed = true;
  node.signs = "owed";
  for (let run = 2; run <= 8; run++) {
    await node.ran(run);
    node.end();
  }
  const pauses = node.begun.slice(1).flatMap((at, i, all) => (i > 0 ? [at - all[i - 1]!] : []));
  for (const [i, least] of [10, 20, 40, 80, 80, 80].entries())
    t.ok(pauses[i]! >= least - 2, `${pauses[i]} >= ${least}`);
  await node.ran(9);
  node.isOwed = false; // that one settles it
  node.end();
  await sleep(AWHILE_MS);
  t.equal(node.begun.length, 9);
});

t.test("keepReconciling() tries soon again what failed, the first run, too", async (t) => {
  const node = new Node();
  const log = new KeptLog();
  let runs = 0;
  const stop = await keepReconciling({
    reconcile: async () => {
      if (++runs < 3) throw new Error("no memory");
    },
    signs: () => node.signs,
    isOwed: () => false,
    everyMs: 3_600_000,
    log,
    lookMs: 5,
    failedMs: 20,
  });
  t.teardown(stop);
  while (runs < 3) await sleep(1);
  await sleep(AWHILE_MS);
  t.equal(runs, 3);
  t.same(log.take(), Array(2).fill("warn reconciliation failed; retrying"));
});

t.test("keepReconciling() runs on a timer when nothing happens, and not when it was ended", async (t) => {
  const node = await Node.start(t, { everyMs: 50 });
  await node.ran(2);
  node.end();
  node.stop();
  await sleep(AWHILE_MS);
  t.equal(node.begun.length, 2);
});
