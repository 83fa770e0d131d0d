import { utimesSync } from "node:fs";
import t from "tap";
import { deviceInfoFile, isPromised, writeDeviceInfoOf } from "../../../daemonset/device-plugin/device-info.ts";

const VF = "0000:a0:02.0";

t.test(
  "isPromised() is true from Allocate for two minutes, whatever agent is asked, and not for hours when the clock jumps back",
  async (t) => {
    const dir = t.testdir();
    t.equal(isPromised(dir, VF), false);
    t.equal(isPromised(`${dir}/nothing`, VF), false);
    writeDeviceInfoOf(dir, "railnet.io/rail0", VF, "0000:a0:00.0");
    const file = deviceInfoFile(dir, "railnet.io/rail0", VF);
    for (const [seconds, want] of [
      [1000, true],
      [1119, true],
      [1121, false],
      [-20_000, false],
    ] as const) {
      utimesSync(file, 1000, 1000);
      t.equal(isPromised(dir, VF, seconds * 1000), want, `${seconds - 1000} s later`);
    }
    t.equal(isPromised(dir, "0000:a0:02.1", 1_000_000), false, "another VF");
  },
);
