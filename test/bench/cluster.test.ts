import { execFileSync, spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Contestant } from "../../bench/cluster/contestants.ts";
import type { Run } from "../../bench/cluster/measure.ts";
import { parseOptions, USAGE } from "../../bench/cluster/options.ts";
import { formatTable, toRows } from "../../bench/cluster/report.ts";
import { buildTimed, parseCalls } from "../../bench/cluster/timed.ts";

const dir = mkdtempSync(join(tmpdir(), "railnet-timed-"));
t.teardown(() => rmSync(dir, { recursive: true }));
for (const folder of ["bin", "timed"]) mkdirSync(join(dir, folder));
const plugin = join(dir, "bin/plugin");
buildTimed(plugin);

const CALL = {
  CNI_COMMAND: "ADD",
  CNI_CONTAINERID: "c1",
  CNI_IFNAME: "net1",
  CNI_NETNS: "/run/netns/x",
  PATH: process.env["PATH"],
};

/** Runs the timer in front of a shell script. */
function timed(script: string, input = "") {
  rmSync(join(dir, "timed/calls"), { force: true });
  writeFileSync(join(dir, "timed/plugin"), `#!/bin/sh\n${script}\n`);
  chmodSync(join(dir, "timed/plugin"), 0o755);
  return spawnSync(plugin, ["an argument"], { env: CALL, input, encoding: "utf8" });
}

const calls = () => parseCalls(readFileSync(join(dir, "timed/calls"), "utf8"));

t.test("the timer hands everything on, and writes the call down", async (t) => {
  const { status, stdout, stderr } = timed('cat; echo "$1 $CNI_NETNS"; echo trouble >&2; exit 7', "input ");
  t.same({ status, stdout, stderr }, { status: 7, stdout: "input an argument /run/netns/x\n", stderr: "trouble\n" });
  t.match(calls(), [{ plugin: "plugin", verb: "ADD", container: "c1", ifname: "net1", exit: 7, ms: Number }]);
});

t.test("the timer times from start to end", async (t) => {
  timed("sleep 0.3");
  t.ok(calls()[0]!.ms >= 300, `${calls()[0]!.ms} ms`);
});

t.test("a plugin that is killed has failed", async (t) => {
  t.equal(timed("kill -9 $$").status, 137);
  t.match(calls(), [{ exit: 137 }]);
});

t.test("calls at once write whole lines", async (t) => {
  timed("exit 0");
  execFileSync("sh", ["-c", `for i in $(seq 50); do CNI_CONTAINERID=$i ${plugin} & done; wait`]);
  t.equal(new Set(calls().map(({ container }) => container)).size, 51);
});

t.test("a plugin that is not there is an error that names it", async (t) => {
  rmSync(join(dir, "timed/plugin"));
  const { status, stderr } = spawnSync(plugin, { env: CALL, encoding: "utf8" });
  t.equal(status, 127);
  t.match(stderr, /^timed: cannot run .*timed\/plugin: No such file or directory/);
});

/** A run whose ADDs and DELs took so long; a negative time is that of a call that failed. */
function run(who: Contestant, adds: readonly number[], dels: readonly number[] = [], pods = 1): Run {
  const made = (verb: string) => (ms: number) => ({
    plugin: "",
    verb,
    container: "",
    ifname: "",
    exit: ms < 0 ? 1 : 0,
    ms: Math.abs(ms),
  });
  return { who, pods, runningMs: 1000, calls: [...adds.map(made("ADD")), ...dels.map(made("DEL"))] };
}

t.test("toRows() compares the medians of the rounds' sums", async (t) => {
  const single = [
    run("railnet", [10, 20], [1, 2]),
    run("peer", [100, 100], [20, 10]),
    run("peer", [900, 100], [30, 30]),
    run("railnet", [20, 30], [2, 3]),
  ];
  t.match(toRows({ single, burst: [] }), [
    { case: "pod/add-sum", railnet: 40, peer: 600, ratio: 0.06667, bar: "≤ 0.3 x", kept: true },
    { case: "pod/del-sum", railnet: 4, peer: 45 },
    { case: "pod/running", ratio: 1 },
    { case: "pod/failed", railnet: 0, peer: 0, ratio: null, kept: true },
  ]);
});

t.test("toRows() shows the spread of a burst, and holds it to a bar of its own", async (t) => {
  const burst = [run("railnet", [10, 20, 120], [], 20), run("peer", [100, 200, 300], [], 20)];
  t.match(toRows({ single: [], burst }), [
    { case: "burst/add-sum", railnet: 150, peer: 600, ratio: 0.25, bar: "≤ 0.2 x", kept: false },
    { case: "burst/add-median", railnet: 20, peer: 200 },
    { case: "burst/add-max", railnet: 120, peer: 300 },
    { case: "burst/del-sum" },
    { case: "burst/running" },
    { case: "burst/failed" },
  ]);
});

for (const { who, kept } of [
  { who: "railnet", kept: false },
  { who: "peer", kept: true },
] as const)
  t.test(`a call of ${who} that failed is counted, and its time is in the sum`, async (t) => {
    const single = (["railnet", "peer"] as const).map((each) => run(each, each === who ? [-10, 20] : [20]));
    const rows = toRows({ single, burst: [] });
    t.match(
      rows.find((row) => row.case === "pod/add-sum"),
      { [who]: 30 },
    );
    t.match(
      rows.find((row) => row.case === "pod/failed"),
      { [who]: 1, kept },
    );
  });

t.test("formatTable() lines up and says what became of each promise", async (t) => {
  const rows = toRows({ single: [run("railnet", [10], [1]), run("peer", [100], [3])], burst: [] });
  t.equal(
    formatTable(rows),
    [
      "case         Railnet  peer  unit    ratio  promised",
      "-----------  -------  ----  -----  ------  --------  ----",
      "pod/add-sum       10   100  ms        0.1  ≤ 0.3 x   kept",
      "pod/del-sum        1     3  ms     0.3333",
      "pod/running     1000  1000  ms          1",
      "pod/failed         0     0  calls          none      kept",
    ].join("\n"),
  );
});

t.test("parseOptions() has defaults, and refuses what cannot be with its reason", async (t) => {
  t.same(parseOptions([]), { rounds: 10, bursts: 3, pods: 20, multus: "thin", check: false });
  t.equal(parseOptions(["--help"]), undefined);
  t.match(USAGE, /^Examples\n {2}npm run bench cluster$/m);
  t.throws(() => parseOptions(["--multus", "thick"]), /cannot use --multus thick: not one of thin, process, pod/);
  for (const wrong of ["0", "many", "1.5", "-1", "51"])
    t.throws(() => parseOptions([`--pods=${wrong}`]), new RegExp(`cannot use --pods ${wrong}: a number from 1 to 50`));
});
