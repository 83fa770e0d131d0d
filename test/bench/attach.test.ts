import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { buildInterleave, interleave, type Step } from "../../bench/attach/interleave.ts";
import { compare, formatTable, median } from "../../bench/attach/report.ts";

const dir = mkdtempSync(join(tmpdir(), "bench-"));
const tool = join(dir, "interleave");
buildInterleave(tool);
t.teardown(() => rmSync(dir, { recursive: true }));

const sh = (text: string, more: Partial<Step> = {}): Step => ({ argv: ["sh", "-c", text], ...more });

t.test("interleave() runs one of each job a round, steps in order", async (t) => {
  const log = join(dir, "log");
  const note = (word: string) => sh(`echo ${word} >> ${log}`);
  const jobs = [
    { label: "a", chains: [[note("a1"), note("a2")]] },
    { label: "b", chains: [[note("b")]] },
  ];
  const timings = interleave(tool, jobs, 2, 0);
  t.equal(readFileSync(log, "utf8").replaceAll("\n", " "), "a1 a2 b a1 a2 b ");
  t.match(timings, [
    { label: "a", failed: 0 },
    { label: "b", failed: 0 },
  ]);
  t.same(
    timings.map(({ ms }) => ms.length),
    [2, 2],
  );
});

t.test("interleave() runs the chains of a job at once", async (t) => {
  const [timing] = interleave(tool, [{ label: "x", chains: Array(8).fill([sh("sleep 0.2")]) }], 1, 0);
  t.ok(timing!.ms[0]! >= 200 && timing!.ms[0]! < 600, `${timing!.ms[0]} ms`);
});

t.test("interleave() gives a step its stdin and its environment, and nothing else", async (t) => {
  writeFileSync(join(dir, "in"), "input");
  const out = join(dir, "out");
  const step = sh(`cat > ${out}; env | grep -v -e ^_= -e ^PWD= -e ^SHLVL= >> ${out}`, {
    stdin: join(dir, "in"),
    env: { CNI_A: "b c" },
  });
  const [timing] = interleave(tool, [{ label: "x", chains: [[step]] }], 1, 0);
  t.equal(timing!.failed, 0);
  t.same(readFileSync(out, "utf8").slice("input".length).trim().split("\n").toSorted(), [
    "CNI_A=b c",
    "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
  ]);
});

for (const { what, step } of [
  { what: "exits with an error", step: sh("exit 3") },
  { what: "is killed", step: sh("kill -9 $$") },
  { what: "is not there", step: { argv: ["/nowhere"] } },
])
  t.test(`interleave() counts a command that ${what}`, async (t) => {
    const [timing] = interleave(tool, [{ label: "x", chains: [[step], [sh("true")]] }], 3, 0);
    t.equal(timing!.failed, 3);
  });

t.test("interleave() refuses a cgroup that it cannot enter", async (t) => {
  t.throws(
    () => interleave(tool, [{ label: "x", chains: [[sh("true")]] }], 1, 0, ["/nowhere/cgroup.procs"]),
    /Command failed/,
  );
});

t.test("median() is the middle of the sorted values", async (t) => {
  t.equal(median([9, 1, 5]), 5);
  t.equal(median([10, 1, 9, 2]), 5.5);
});

const timing = (label: string, ms: number, failed = 0) => ({ label, ms: [ms], failed });

for (const { when, place, timings, want } of [
  {
    when: "names the rows of the VM without a prefix, and divides by the attachments at once",
    place: "vm",
    timings: [timing("add/4/shim", 40), timing("add/4/go", 100)],
    want: [{ case: "add/4/shim", railnet: 10, peer: 25, ratio: 0.4, against: "host-device + static", kept: true }],
  },
  {
    when: "holds the shim against floor and peer on the host",
    place: "host",
    timings: [timing("del/1/floor", 10), timing("del/1/go", 12), timing("del/1/shim", 9)],
    want: [
      { case: "host/del/1/shim", ratio: 0.75, kept: false },
      { case: "host/del/1/shim-to-floor", ratio: 0.9, kept: true },
    ],
  },
  {
    when: "never calls a promise kept when something failed",
    place: "host",
    timings: [timing("add/1/go", 100), timing("add/1/shim", 1, 2)],
    want: [{ kept: false, failed: 2 }],
  },
  {
    when: "wants eight ADDs in a second under a thick Multus",
    place: "thick",
    timings: [timing("add/8/go", 9000), timing("add/8/shim", 1100)],
    want: [{ case: "thick/add/8/shim", kept: false }],
  },
  {
    when: "promises start-up only on the host",
    place: "vm",
    timings: [timing("version/true", 1), timing("version/shim", 9)],
    want: [{ case: "version/shim-to-true", kept: undefined }],
  },
])
  t.test(`compare() ${when}`, async (t) => {
    const rows = compare(place, timings);
    t.equal(rows.length, want.length);
    t.match(rows, want);
  });

t.test("formatTable() lines up and says what became of each promise", async (t) => {
  const rows = compare("host", [
    timing("add/1/go", 10),
    timing("add/1/shim", 5),
    timing("del/1/go", 10),
    timing("del/1/shim", 9),
  ]);
  t.equal(
    formatTable(rows),
    [
      "case             railnet      peer  ratio  against               promised",
      "---------------  -------  --------  -----  --------------------  --------  ------",
      "host/add/1/shim  5.00 ms  10.00 ms   0.50  host-device + static  ≤ 0.6 x   kept",
      "host/del/1/shim  9.00 ms  10.00 ms   0.90  host-device + static  ≤ 0.6 x   MISSED",
    ].join("\n"),
  );
});
