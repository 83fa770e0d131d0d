import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { Machines } from "../../bench/rdma/machines.ts";
import { measureSide, type Task } from "../../bench/rdma/measure.ts";
import { judge, type Row } from "../../bench/rdma/report.ts";
import type { Side } from "../../cli/bench/rdma/place.ts";
import { type Running, start } from "../../lab/netns/run.ts";
import { until } from "../../lab/until.ts";
import { nodesFor } from "../../lab/vm/nodes.ts";

const BENCH = resolve(import.meta.dirname, "../../bench");
/** Small and few, and patient: under load an emulated processor is ten times slower, and still far above the broken rail. */
const BANDWIDTH = "-n 10 -t 2 -u 20 -s 4096";
const LATENCY = "-n 20 -u 20";
const MIN_GBPS = 0.0001;
const JSON_FILE = join(t.testdir(), "rdma.json");
const SLOW = "tbf rate 30kbit burst 4kb limit 100kb";

t.setTimeout(900_000);
const nodes = await nodesFor(t);
const [n0, n1] = nodes;
const task: Task = {
  bandwidth: BANDWIDTH,
  latency: LATENCY,
  tcpSeconds: 1,
  limitMs: 120_000,
  signal: new AbortController().signal,
  say: () => {},
};

function startBench(...args: string[]): Running {
  const argv = [
    join(BENCH, "rdma/run.ts"),
    `--json=${JSON_FILE}`,
    `--bandwidth=${BANDWIDTH}`,
    `--latency=${LATENCY}`,
    ...args,
  ];
  return start(process.execPath, argv, { env: { ...process.env } as Record<string, string> });
}

/** Namespaces, links and RDMA devices of both nodes. */
const picture = () => Promise.all(nodes.map((node) => node.ask("ip netns; ls /sys/class/net; rdma link")));
const running = async () => {
  const counts = await Promise.all(nodes.map((node) => node.ask("pgrep -c ib_write || true")));
  return counts.map(Number);
};
const before = await picture();

/** Of emulated machines beside others: each look takes them time, too. */
const soon = (what: string, holds: () => Promise<boolean>) => until(what, holds, { limitMs: 300_000, everyMs: 100 });

t.test(
  "sound rails have figures for host and pod; a rail without link and a slow one fail the gate by name",
  async (t) => {
    await n1.ask("ip link set rail1 down");
    await n0.ask(`tc qdisc replace dev rail2 root ${SLOW}`);
    t.teardown(() => Promise.all([n1.ask("ip link set rail1 up"), n0.ask("tc qdisc del dev rail2 root")]));
    const { exit, stdout, stderr } = await startBench("--min-gbps", `${MIN_GBPS}`);
    t.comment(stdout);
    t.equal(exit, 1, stderr);
    t.match(stderr, /FAILED: rail1, rail2\n$/);
    t.match(stdout, /^rail1 .*FAILED host: (server|client) on n[01]: /m);
    t.match(stdout, /^rail2 .*FAILED host: 0\.0000\d* Gb\/s < 0\.0001 Gb\/s \(n0 → n1\)/m);
    const { rows } = JSON.parse(readFileSync(JSON_FILE, "utf8")) as { rows: Row[] };
    for (const rail of ["rail0", "rail3"])
      for (const name of ["bandwidth", "latency-typical", "latency-p99"]) {
        const row = rows.find((one) => one.case === `${rail}/${name}`);
        t.match(row, { transport: "rdma", unit: name === "bandwidth" ? "Gb/s" : "µs" }, `${rail}/${name}`);
        t.ok(row?.railnet && row.peer, `pod ${row?.railnet}, host ${row?.peer}`);
      }
    t.same(await picture(), before, "nothing is left");
  },
);

t.test("a pod whose VF is slow loses against its host, one whose VF is down has no figure", async (t) => {
  await using machines = await Machines.prepare(task);
  await n0.ask(`ip netns exec rdma-bench tc qdisc replace dev net3 root ${SLOW}`);
  await n1.ask("ip -n rdma-bench link set net2 down");
  const only = (side: Side, ...rails: string[]): Side => ({
    ...side,
    rails: new Map(rails.map((rail) => [rail, side.rails.get(rail)!])),
  });
  const results = [
    ...(await measureSide(only(machines.side("host"), "rail2"), task, false)),
    ...(await measureSide(only(machines.side("pod"), "rail1", "rail2"), task, false)),
  ];
  const [rail2, rail1] = judge(results, { maxPodLoss: 50, allowTcp: false });
  t.match(rail2, { rail: "rail2", failures: [/^pod loses [\d.]+ % > 50 %$/], pod: { direction: "n0 → n1" } });
  t.match(rail1, { rail: "rail1", failures: [/^pod: (server|client) on n[01]: /] });
});

for (const signal of ["SIGINT", "SIGKILL"] as const)
  t.test(
    `${signal} leaves no process; ${signal === "SIGINT" ? "nor anything else" : "the next run gives back the rest"}`,
    async (t) => {
      const bench = startBench("--bandwidth=-n 100000 -t 2 -u 20", "--rails", "rail0");
      const early = bench.then(({ stderr }) => Promise.reject(new Error(`ended before the signal: ${stderr}`)));
      early.catch(() => {}); // it ends after the signal, too
      await Promise.race([soon("server and client", async () => (await running()).every((count) => count > 0)), early]);
      bench.kill(signal);
      const { exit, stdout, stderr } = await bench;
      if (signal === "SIGINT")
        t.match({ exit, stdout, stderr }, { exit: 130, stdout: "", stderr: /nothing is left running/ });
      else await soon("the end of both", async () => (await running()).every((count) => count === 0));
      t.same(await running(), [0, 0]);
      if (signal === "SIGKILL") await (await Machines.prepare(task))[Symbol.asyncDispose]();
      t.same(await picture(), before);
    },
  );
