import t from "tap";
import { type LogLine, threadLog } from "../../daemonset/thread-log.ts";

t.test("threadLog() posts lines of its level and above, whenever that changes", async (t) => {
  const lines: LogLine[] = [];
  const log = threadLog((line) => lines.push(line), "info");
  log.debug({ a: 1 }, "too low");
  log.info({ a: 2 }, "info");
  log.warn({ a: 3 }, "warn");
  t.same(lines.splice(0), [
    { level: "info", fields: { a: 2 }, message: "info" },
    { level: "warn", fields: { a: 3 }, message: "warn" },
  ]);
  log.level = "debug";
  log.debug({}, "now");
  log.level = "warn";
  log.info({}, "not any more");
  t.same(lines, [{ level: "debug", fields: {}, message: "now" }]);
});

t.test(
  "threadLog() makes fields of errors: what crosses threads keeps code, status and a defect's stack",
  async (t) => {
    const lines: LogLine[] = [];
    const log = threadLog((line) => lines.push(structuredClone(line)), "info");
    log.warn(
      {
        err: Object.assign(new Error("cannot read eth0 (ENODEV)"), { code: "ENODEV", status: 404 }),
        pci: "0000:01:00.0",
      },
      "no",
    );
    log.warn({ err: new TypeError("x is not a function") }, "defect");
    t.same(lines[0]?.fields, {
      err: { type: "Error", message: "cannot read eth0 (ENODEV)", code: "ENODEV", status: 404 },
      pci: "0000:01:00.0",
    });
    t.match(lines[1]?.fields, { err: { type: "TypeError", stack: /thread-log\.test/ } });
  },
);
