import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { followLogLevel } from "../../daemonset/follow-log-level.ts";
import type { LogLevel } from "../../daemonset/log-level.ts";

t.test("followLogLevel() sets what the file says when it changes, and ignores what is no level", async (t) => {
  const dir = mkdtempSync(`${tmpdir()}/railnet-level-`);
  const stop = new AbortController();
  t.teardown(() => {
    stop.abort();
    rmSync(dir, { recursive: true });
  });
  const file = `${dir}/logLevel`;
  const set: (LogLevel | undefined)[] = [];
  const warned: object[] = [];
  const log = { debug() {}, info() {}, warn: (fields: object) => void warned.push(fields) };
  void followLogLevel({ file, log, signal: stop.signal, everyMs: 5 }, (level) => void set.push(level));
  const saw = async (length: number) => {
    for (const end = Date.now() + 20_000; set.length + warned.length < length; await sleep(5))
      if (Date.now() > end) throw new Error(`only ${JSON.stringify(set)}`);
  };
  const write = (text: string) => {
    writeFileSync(`${file}.new`, text);
    renameSync(`${file}.new`, file);
  };
  write("debug\n");
  await saw(1);
  write("loud");
  await saw(2);
  t.match(warned, [{ file, logLevel: "loud", want: "debug, info, warn" }]);
  write("warn");
  await saw(3);
  rmSync(file);
  await saw(4);
  t.same(set, ["debug", "warn", undefined], "without the file nothing at first, then the level of the start");
});
