import t from "tap";
import { randomFrom } from "../../cli/random.ts";
import type { Exec, ExecRequest } from "../../cni/protocol/delegate.ts";
import { FewAtOnce, inTurn } from "../../daemonset/few-at-once.ts";
import { fileSeed } from "../../lab/seed.ts";

const SEED = fileSeed();

/** A plugin that runs until its test ends it, and what it saw. */
class Plugins {
  readonly running: { readonly request: ExecRequest; readonly end: () => void }[] = [];
  most = 0;
  mostAdds = 0;
  readonly exec: Exec = (request) =>
    new Promise((resolve) => {
      const one = { request, end: () => resolve({ exit: 0, stdout: "", stderr: "" }) };
      this.running.push(one);
      this.most = Math.max(this.most, this.running.length);
      this.mostAdds = Math.max(
        this.mostAdds,
        this.running.filter((r) => r.request.env["CNI_COMMAND"] === "ADD").length,
      );
    });

  /** Ends one and lets what waits for it go on. */
  async end(index = 0): Promise<void> {
    this.running.splice(index, 1)[0]?.end();
    await new Promise(setImmediate);
  }
}

const request = (verb: string, rest: Partial<ExecRequest> = {}): ExecRequest => ({
  binary: "/x/slow",
  env: { CNI_COMMAND: verb },
  stdin: "",
  timeoutMs: 60_000,
  ...rest,
});

t.test("inTurn() runs no more than eight of 300 at once, all in the end, in whatever order they end", async (t) => {
  const plugins = new Plugins();
  const exec = inTurn(plugins.exec, new FewAtOnce().take);
  const next = randomFrom(SEED);
  const random = (n: number) => Math.floor(next() * n);
  const all = Array.from({ length: 300 }, () => exec(request(["ADD", "DEL", "CHECK"][random(3)]!)));
  await new Promise(setImmediate);
  for (let left = 300; left > 0; left--) await plugins.end(random(plugins.running.length));
  t.equal((await Promise.all(all)).length, 300, `seed ${SEED}`);
  t.same([plugins.most, plugins.mostAdds], [8, 6]);
});

t.test("inTurn() keeps turns for DELs while ADDs hang, and gives them the first", async (t) => {
  const plugins = new Plugins();
  const exec = inTurn(plugins.exec, new FewAtOnce().take);
  for (let i = 0; i < 60; i++) void exec(request("ADD"));
  void exec(request("DEL"));
  await new Promise(setImmediate);
  t.equal(plugins.running.at(-1)!.request.env["CNI_COMMAND"], "DEL", "at once");
  for (let i = 0; i < 3; i++) void exec(request("DEL"));
  await plugins.end(0);
  t.equal(plugins.running.at(-1)!.request.env["CNI_COMMAND"], "DEL", "before the ADDs that came before it");
  while (plugins.running.length > 0) await plugins.end();
});

t.test("inTurn() counts waiting as time, and ends it when that is up or the caller is gone", async (t) => {
  const plugins = new Plugins();
  const exec = inTurn(plugins.exec, new FewAtOnce(1, 1).take);
  void exec(request("ADD"));
  await t.rejects(exec(request("ADD", { timeoutMs: 20 })), { code: "ETIMEDOUT", message: /no turn/ });
  const caller = new AbortController();
  const gone = exec(request("ADD", { signal: caller.signal }));
  caller.abort(new Error("the caller is gone"));
  await t.rejects(gone, { message: "the caller is gone" });
  await t.rejects(exec(request("ADD", { signal: caller.signal })), { message: "the caller is gone" }, "also before");
  const next = exec(request("ADD", { timeoutMs: 30_000 }));
  await new Promise(setImmediate);
  await plugins.end();
  t.equal(plugins.running.length, 1, "nobody who gave up was run");
  t.ok(plugins.running[0]!.request.timeoutMs <= 30_000);
  await plugins.end();
  t.match(await next, { exit: 0 });
});

t.test("inTurn() goes on after a plugin that could not be run", async (t) => {
  const exec = inTurn(async () => Promise.reject(new Error("no such file")), new FewAtOnce(1, 1).take);
  for (let i = 0; i < 3; i++) await t.rejects(exec(request("ADD")), { message: "no such file" });
});
