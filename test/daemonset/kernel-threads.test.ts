import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { CniRequest, CniResponse } from "../../cni/protocol/request.ts";
import { type Job, KernelThread } from "../../daemonset/kernel-thread.ts";
import { KernelThreads } from "../../daemonset/kernel-threads.ts";
import { attachmentKey } from "../../records/record-files.ts";
import { KeptLog } from "./support/log.ts";
import { PfTree } from "./support/pf-tree.ts";

const A = "0000:a0:00.0";
const B = "0000:b0:00.0";

/** Threads that keep their jobs until they are told to answer. */
class Threads {
  readonly tree: PfTree;
  readonly threads: KernelThreads;
  readonly log = new KeptLog();
  readonly jobs: Job[][] = [];
  readonly stateDir: string;
  readonly #workers: Worker[] = [];

  constructor(t: Test) {
    const dir = t.testdir();
    this.stateDir = join(dir, "state");
    this.tree = new PfTree(join(dir, "sys"));
    for (const [pci, netdev] of [
      [A, "ens1"],
      [B, "ens2"],
    ] as const) {
      this.tree.addPf({ pci, netdev });
      this.tree.writeNumVfs(pci, 2);
    }
    this.threads = new KernelThreads({
      sysfs: this.tree.root,
      stateDir: this.stateDir,
      open: () => this.#open(),
      log: this.log,
      patienceMs: 50,
    });
  }

  /** Answers all that a thread was asked. */
  answer(thread: number, answer: object = {}): void {
    for (const job of this.jobs[thread]!.splice(0))
      if ("id" in job) this.#workers[thread]!.onmessage?.({ data: { id: job.id, ...answer } } as MessageEvent);
  }

  ask(verb: string, vf: string | undefined, containerId = "c"): Promise<unknown> {
    const env = { CNI_COMMAND: verb, CNI_CONTAINERID: containerId, CNI_IFNAME: "net1" };
    const request = { name: "railnet-sriov", env, stdin: JSON.stringify({ deviceID: vf }) } as CniRequest;
    return this.threads.request(request, new AbortController().signal);
  }

  /** Writes a record, as far as its name goes. */
  record(vf: string, containerId = "c"): void {
    const dir = join(this.stateDir, "attachments");
    mkdirSync(dir, { recursive: true });
    writeFileSync(join(dir, `${attachmentKey(containerId, "net1")}@${vf}.json`), "");
  }

  #open(): KernelThread {
    const jobs: Job[] = [];
    const worker = { postMessage: (job: Job) => void jobs.push(job), terminate() {} } as unknown as Worker;
    this.jobs.push(jobs);
    this.#workers.push(worker);
    return new KernelThread(
      worker,
      async () => ({}),
      this.log,
      () => {},
    );
  }
}

const kinds = (jobs: readonly Job[] | undefined) => jobs?.map(({ kind }) => kind);

t.test("KernelThreads gives each PF a thread of its own, so that one that is stuck delays no other", async (t) => {
  const threads = new Threads(t);
  const [a] = threads.tree.vfs(A) as [string];
  const [b, b1] = threads.tree.vfs(B) as [string, string];
  void threads.ask("ADD", a, "stuck");
  const answered = threads.ask("ADD", b, "x");
  threads.answer(2, { response: { exit: 0, stdout: "{}", stderr: "" } });
  t.match(await answered, { exit: 0 });
  void threads.ask("DEL", b1, "y");
  void threads.ask("STATUS", undefined);
  void threads.ask("ADD", "0000:ff:00.0", "none");
  t.same(threads.jobs.map(kinds), [["request", "request"], ["request"], ["request"]]);
});

t.test(
  "KernelThreads gives sets of VFs a thread of their own, from ADD to DEL, whatever one of their PFs does",
  async (t) => {
    const threads = new Threads(t);
    const [a] = threads.tree.vfs(A) as [string];
    const [b] = threads.tree.vfs(B) as [string];
    threads.record(a, "set"); // its first rail, where the attachment is called as that
    void threads.ask("ADD", `${a},${b}`, "stuck");
    void threads.ask("DEL", `${a},${b}`, "set");
    void threads.ask("ADD", a, "x");
    void threads.ask("ADD", b, "y");
    t.same(threads.jobs.map(kinds), [[], ["request"], ["request"], ["request", "request"]]);
  },
);

t.test(
  "KernelThreads has each PF's thread end its attachments at a GC, and answers without one that is stuck",
  async (t) => {
    const threads = new Threads(t);
    const collecting = threads.ask("GC", undefined);
    void threads.ask("STATUS", undefined);
    const scopes = threads.jobs.map((jobs) => jobs.map((job) => ("scope" in job ? job.scope : job.kind)));
    t.same(scopes, [[{ except: [A, B] }, "request"], [{ pf: A }], [{ pf: B }]], "nothing of a PF is before the STATUS");
    for (const thread of [0, 2]) threads.answer(thread, { response: { exit: 0, stdout: "", stderr: "" } });
    const { exit, stdout } = (await collecting) as CniResponse;
    t.equal(exit, 1);
    t.match(JSON.parse(stdout), {
      code: 11,
      msg: `cannot collect: the kernel does not answer for PF ${A}: its attachments are collected later`,
    });
  },
);

t.test("KernelThreads answers a GC with all that failed", async (t) => {
  const threads = new Threads(t);
  const response = (code: number, msg: string) => ({
    response: { exit: 1, stdout: JSON.stringify({ cniVersion: "1.1.0", code, msg }), stderr: "" },
  });
  const collecting = threads.ask("GC", undefined);
  threads.answer(0, { response: { exit: 0, stdout: "", stderr: "" } });
  threads.answer(1, response(105, "cannot collect 1 of 2: a"));
  threads.answer(2, response(11, "cannot collect 1 of 1: b"));
  const { exit, stdout } = (await collecting) as CniResponse;
  t.equal(exit, 1);
  t.same(JSON.parse(stdout), {
    cniVersion: "1.1.0",
    code: 105,
    msg: "cannot collect 1 of 2: a; cannot collect 1 of 1: b",
  });
});

t.test(
  "KernelThreads sends a DEL to the thread of the PF that its record names, whatever it says itself",
  async (t) => {
    const threads = new Threads(t);
    const [a] = threads.tree.vfs(A) as [string];
    const [b] = threads.tree.vfs(B) as [string];
    threads.record(b);
    for (const vf of [undefined, a, b]) void threads.ask("DEL", vf);
    void threads.ask("DEL", undefined, "another");
    t.same(threads.jobs.map(kinds), [["request"], [], ["request", "request", "request"]]);
  },
);

t.test("KernelThreads fences by the thread of the VF's PF", async (t) => {
  const threads = new Threads(t);
  const [a] = threads.tree.vfs(A) as [string];
  const [b] = threads.tree.vfs(B) as [string];
  void threads.ask("ADD", a, "stuck");
  const fenced = threads.threads.fence(b, { containerId: "x", ifname: "net1", to: "fenced" });
  t.match(threads.jobs[2], [{ kind: "fence", order: { containerId: "x", to: "fenced" } }]);
  threads.answer(2, { fence: "done" });
  t.equal(await fenced, "done");
});

t.test(
  "KernelThreads has what is asked for a rail done by the thread of its PF, also before that has VFs",
  async (t) => {
    const threads = new Threads(t);
    const [a] = threads.tree.vfs(A) as [string];
    void threads.ask("ADD", a, "stuck");
    const [c, netdev] = ["0000:c0:00.0", "ens3"];
    void threads.threads.carryOut({ do: "set-up", pf: A, netdev: "ens1" });
    const orders = [
      threads.threads.carryOut({ do: "list-admin-macs", pf: B, netdev: "ens2" }),
      threads.threads.carryOut({ do: "set-up", pf: c, netdev }),
      threads.threads.carryOut({ do: "find-altnames", altnames: ["fast0"] }),
    ];
    t.same(threads.jobs.map(kinds), [["rail"], ["request", "rail"], ["rail"], ["rail"]]);
    threads.answer(2, { rail: new Map([[0, "02:00:00:00:00:01"]]) });
    threads.answer(3, { error: "cannot set ens3 up: refused (EIO)" });
    threads.answer(0, { rail: new Map() });
    const [macs, setUp] = await Promise.allSettled(orders);
    t.match(macs, { status: "fulfilled", value: new Map([[0, "02:00:00:00:00:01"]]) });
    t.match(setUp, { status: "rejected", reason: { message: "cannot set ens3 up: refused (EIO)" } });
  },
);

t.test("KernelThreads sends a DEL to the thread where the ADD runs that it ends, whatever VF it names", async (t) => {
  const threads = new Threads(t);
  const [a] = threads.tree.vfs(A) as [string];
  const [b] = threads.tree.vfs(B) as [string];
  const adding = threads.ask("ADD", a);
  void threads.ask("DEL", b);
  void threads.ask("DEL", undefined);
  t.same(threads.jobs.map(kinds), [[], ["request", "request", "request"], []]);
  threads.answer(1, { response: {} });
  await adding;
  void threads.ask("DEL", b);
  t.same(threads.jobs.map(kinds), [[], [], ["request"]], "afterwards by its VF again");
});

t.test("KernelThreads makes one for a PF that gets its VFs later", async (t) => {
  const threads = new Threads(t);
  threads.tree.addPf({ pci: "0000:c0:00.0", netdev: "ens3" });
  threads.tree.writeNumVfs("0000:c0:00.0", 1);
  t.equal(threads.jobs.length, 3, "the common one, and one for each PF");
  void threads.ask("ADD", threads.tree.vfs("0000:c0:00.0")[0]);
  t.same(threads.jobs.map(kinds), [[], [], [], ["request"]]);
});

t.test("reconcile() has each thread look at its own, and waits for none that is stuck", async (t) => {
  const threads = new Threads(t);
  const [a] = threads.tree.vfs(A) as [string];
  const [b] = threads.tree.vfs(B) as [string];
  for (const vf of [a, b]) void threads.ask("CHECK", vf);
  for (const thread of [1, 2]) threads.answer(thread, { response: {} });
  const first = threads.threads.reconcile();
  t.same(
    threads.jobs.map((jobs) => jobs.map((job) => "scope" in job && job.scope)),
    [[{ except: [A, B] }], [{ pf: A }], [{ pf: B }]],
  );
  threads.answer(0, { repairs: ["common"] });
  threads.answer(2, { repairs: ["b"] });
  t.same((await first).toSorted(), ["b", "common"], "without the one of A");
  const second = threads.threads.reconcile();
  t.equal(threads.jobs[1]!.filter(({ kind }) => kind === "reconcile").length, 1, "it is not asked twice");
  threads.answer(0);
  threads.answer(2);
  threads.answer(1, { repairs: ["a"] });
  t.same(await second, ["a"], "what it found late is told");
});
