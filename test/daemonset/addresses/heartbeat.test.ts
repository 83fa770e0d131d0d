import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Heartbeat, sinceBootMs } from "../../../daemonset/addresses/node/heartbeat.ts";
import { KeptLog } from "../support/log.ts";

const at = (stateDir: string, nowMs: number, bootId = "a") => {
  const clock = { ms: nowMs };
  const log = new KeptLog();
  return { clock, log, heartbeat: new Heartbeat({ stateDir, bootId, log, nowMs: () => clock.ms }) };
};

t.test("Heartbeat counts on from where the last agent of this boot was heard", async (t) => {
  const dir = t.testdir();
  const first = at(dir, 1_000);
  t.equal(first.heartbeat.silentMs, 0, "without a record it counts from now");
  first.clock.ms = 5_000;
  first.heartbeat.renewed(4_000);
  t.equal(first.heartbeat.silentMs, 1_000, "from before the request");
  t.equal(at(dir, 300_000).heartbeat.silentMs, 296_000);
  t.equal(at(dir, 300_000, "b").heartbeat.silentMs, 0, "of another boot it says nothing");
});

t.test("Heartbeat takes no answer for an earlier one, and no torn record for one", async (t) => {
  const dir = t.testdir();
  const { heartbeat } = at(dir, 10_000);
  heartbeat.renewed(10_000);
  heartbeat.renewed(2_000);
  t.equal(heartbeat.silentMs, 0);
  for (const text of ['{"version":1', '{"version":1,"bootId":"a","renewedMs":null}', "", '{"version":2}']) {
    writeFileSync(join(dir, "standing/node.json"), text);
    t.equal(at(dir, 90_000).heartbeat.silentMs, 0, text);
  }
});

t.test("Heartbeat on a disk that is full goes on in memory", async (t) => {
  const dir = t.testdir({ standing: "a file where the directory should be" });
  const { heartbeat, log, clock } = at(dir, 1_000);
  clock.ms = 8_000;
  heartbeat.renewed(7_000);
  t.equal(heartbeat.silentMs, 1_000);
  t.match(log.take(), [/cannot record/]);
});

t.test("sinceBootMs() grows", async (t) => {
  const before = sinceBootMs();
  t.ok(before > 0 && sinceBootMs() >= before);
});
