import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { fenceSetting } from "../../../daemonset/addresses/node/fence-setting.ts";
import { KeptLog } from "../support/log.ts";

t.test("the fence is on where the settings say lease, and nowhere else", async (t) => {
  const [file, log] = [join(t.testdir(), "fence"), new KeptLog()];
  const isOn = fenceSetting(file, log);
  t.equal(isOn(), false, "without the key");
  for (const [text, want] of [
    ["lease\n", true],
    ["off", false],
    ["lease", true],
    ["", false],
    ["Lease", false],
    ["Lease", false],
  ] as const) {
    // biome-ignore format: one row
    writeFileSync(file, text);
    t.equal(isOn(), want, text);
  }
  t.same(log.take(), ["warn unknown value of fence: taken for off"], "said once");
  rmSync(file);
  t.equal(isOn(), false);
});
