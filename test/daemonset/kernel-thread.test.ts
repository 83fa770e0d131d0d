import t from "tap";
import { type Job, KernelThread } from "../../daemonset/kernel-thread.ts";
import { KeptLog } from "./support/log.ts";

/** A thread that answers when it is told to. */
function fakeWorker(): { worker: Worker; jobs: Job[]; answer(id: number): void } {
  const jobs: Job[] = [];
  const worker = { postMessage: (job: Job) => void jobs.push(job) } as unknown as Worker;
  const answer = (id: number) => worker.onmessage?.({ data: { id } } as MessageEvent);
  return { worker, jobs, answer };
}

t.test("KernelThread asks its thread for a sign of life once, and knows for how long it has owed one", async (t) => {
  const { worker, jobs, answer } = fakeWorker();
  const thread = new KernelThread(
    worker,
    async () => ({}),
    new KeptLog(),
    () => {},
  );
  t.equal(thread.silentMs(), 0, "it was not asked before");
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.ok(thread.silentMs() >= 15, "the answer is late");
  t.same(jobs, [{ kind: "ping", id: 1 }], "and it is not asked again");
  answer(1);
  await new Promise(setImmediate);
  t.equal(thread.silentMs(), 0, "it lives, and is asked anew");
  t.same(jobs.at(-1), { kind: "ping", id: 2 });
  thread.setLogLevel("debug");
  t.same(jobs.at(-1), { kind: "log-level", level: "debug" });
});

t.test("KernelThread logs what its thread says", async (t) => {
  const { worker } = fakeWorker();
  const log = new KeptLog();
  new KernelThread(
    worker,
    async () => ({}),
    log,
    () => {},
  );
  worker.onmessage?.({ data: { level: "warn", fields: { pci: "0000:01:00.0" }, message: "stuck" } } as MessageEvent);
  t.same(log.lines, [{ level: "warn", fields: { pci: "0000:01:00.0" }, message: "stuck" }]);
});
