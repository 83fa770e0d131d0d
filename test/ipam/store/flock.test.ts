import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { flockIn } from "../../../ipam/store/flock.ts";

const dir = mkdtempSync(join(tmpdir(), "flock-"));
t.teardown(() => rmSync(dir, { recursive: true }));

t.test("flockIn() lets one in at a time, whoever comes, and leaves no file", async (t) => {
  const [lock, other] = [flockIn(dir), flockIn(dir)];
  let [inside, most, all] = [0, 0, 0];
  await Promise.all(
    Array.from({ length: 12 }, async (_, i) => {
      using _held = await (i % 2 ? lock : other)("a", "address a");
      most = Math.max(most, ++inside);
      all++;
      await sleep(2);
      inside--;
    }),
  );
  t.same([most, all], [1, 12]);
  t.notOk(existsSync(join(dir, "locks/a")));
});

t.test("flockIn() excludes flock(2) of other programs", async (t) => {
  const held = await flockIn(dir)("b", "address b");
  const others = spawn("flock", ["-x", join(dir, "locks/b"), "true"]);
  const ended = once(others, "exit");
  t.equal(await Promise.race([ended, sleep(200, "waits")]), "waits");
  held[Symbol.dispose]();
  t.same(await ended, [0, null]);
});

t.test("flockIn() of a process that is killed lets the next one in", async (t) => {
  const program = `import { flockIn } from ${JSON.stringify(join(process.cwd(), "ipam/store/flock.ts"))};
    await flockIn(${JSON.stringify(dir)})("c", "address c"); console.log("held"); setInterval(() => {}, 1000);`;
  const holder = spawn(process.execPath, ["--input-type=module-typescript", "-e", program], {
    env: { PATH: process.env["PATH"] ?? "" },
  });
  await once(holder.stdout, "data");
  const waiting = flockIn(dir)("c", "address c");
  t.equal(await Promise.race([waiting, sleep(200, "waits")]), "waits");
  holder.kill("SIGKILL");
  (await waiting)[Symbol.dispose]();
  t.pass("in");
});

t.test("flockIn() ends when its caller gives up", async (t) => {
  using _held = await flockIn(dir)("d", "address d");
  const give = new AbortController();
  const waiting = flockIn(dir)("d", "address d", give.signal);
  setTimeout(() => give.abort(), 50);
  await t.rejects(waiting, { name: "AbortError" });
});
