import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import type { BenchResults } from "../../cli/bench/rdma/results.ts";
import { type Running, start } from "../../lab/netns/run.ts";
import { until } from "../../lab/until.ts";
import { FakeApi } from "../bench/support/fake-api.ts";
import { FakePods } from "../bench/support/pods.ts";
import { unlikeSchema } from "../cli/bench/support/schema.ts";

const RAILNET = resolve(import.meta.dirname, "../../dist/railnet");
t.setTimeout(600_000);

interface Bench {
  readonly api: FakeApi;
  readonly pods: FakePods;
  readonly output: string;
  start(...args: string[]): Running;
  results(): BenchResults;
}

/** Two nodes with two rails; what the executable does there. */
async function benchFor(test: typeof t): Promise<Bench> {
  const folder = test.testdir();
  const pods = new FakePods(folder);
  const api = await FakeApi.start(pods);
  test.teardown(() => {
    api[Symbol.dispose]();
    pods[Symbol.dispose]();
  });
  for (const rail of [0, 1])
    for (const [i, end] of (["a", "b"] as const).entries())
      pods.addDevice(end, { name: `${end}_${rail}`, link: `net${rail + 1}`, address: `192.168.${rail}.${11 + i}` });
  const output = join(folder, "out");
  const networks = (more: readonly string[]) => (more.includes("--networks") ? [] : ["--networks", "rail0,rail1"]);
  const args = ["bench", "rdma", "--kubeconfig", api.kubeconfig, "--output", output];
  return {
    api,
    pods,
    output,
    start: (...more) => start(RAILNET, [...args, ...networks(more), ...more]),
    results: () => JSON.parse(readFileSync(`${output}.json`, "utf8")),
  };
}

t.test("every rail both ways, by pods of its own, with files, and nothing left", async (t) => {
  const { api, pods, output, ...bench } = await benchFor(t as never);
  const { exit, stdout, stderr } = await bench.start("--min-gbps", "190", "--junit", `${output}.xml`, "--at-once");
  t.equal(exit, 0, stderr);
  t.match(stdout, /^rail0 +pod +write +2\/2 +196\.4 +196\.4 +196\.4 +1\.81 +4096 {2}/m);
  const results = bench.results();
  t.same(unlikeSchema(results), []);
  t.equal(results.cells.length, 8, "two rails, both ways, alone and at once");
  t.match(results.cells[0], { rail: "rail0", from: "a", to: "b", gbps: 196.43, typicalUs: 1.81, mtuBytes: 4096 });
  t.match(results.ends[0], { name: "a", node: "a", perftest: "6.06", topology: { zone: "z1" } });
  t.match(results.ends[0]!.rails["rail1"], { device: "a_1", gidIndex: 3, address: "192.168.1.11", link: "net2" });
  t.same([results.odd, results.failures], [[], []]);
  t.match(readFileSync(`${output}.html`, "utf8"), 'data-key="pod alone write rail1 rdma"');
  t.match(readFileSync(`${output}.xml`, "utf8"), 'tests="2" failures="0"');
  const runs = pods.calls().filter((call) => call.startsWith("ib_write_bw") && call.includes("_1 "));
  t.match(runs[0], /^ib_write_bw -F -d b_1 -i 1 -x 3 -p 18516 --report_gbits -D 5 -q 4$/, "the server");
  t.match(runs[1], /^ib_write_bw -F -d a_1 .* 192\.168\.1\.12$/, "its client");
  t.same([...api.objects], []);
  t.equal(pods.processes(), "");
});

t.test("what it makes: one Job with a deadline that is deleted when it ends, and owns the pods", async (t) => {
  const { api, pods, ...bench } = await benchFor(t as never);
  pods.setRate("a_0", "hang");
  const running = bench.start("--max-seconds", "777");
  await until("pods", () => pods.calls().length >= 2, { limitMs: 30_000 });
  const [job] = api.of("Job");
  t.match(job.spec, { activeDeadlineSeconds: 777, ttlSecondsAfterFinished: 0, backoffLimit: 0 });
  for (const { metadata, spec } of api.of("Pod")) {
    t.match(metadata.ownerReferences, [{ kind: "Job", uid: job.metadata.uid }]);
    t.match(spec, { activeDeadlineSeconds: 777, restartPolicy: "Never", terminationGracePeriodSeconds: 1 });
    t.same(spec.containers[0].resources.limits, { "railnet.io/rail0": 1, "railnet.io/rail1": 1 });
    t.same(spec.containers[0].securityContext, { capabilities: { add: ["IPC_LOCK"] } });
    t.equal(metadata.annotations["k8s.v1.cni.cncf.io/networks"], "rail0,rail1");
  }
  running.kill("SIGKILL");
  await running;
  await until("the end of what ran in pods", () => pods.processes() === "", { limitMs: 30_000 });
});

t.test("a way that is slow is named, with the gate that it misses", async (t) => {
  const { pods, ...bench } = await benchFor(t as never);
  pods.setRate("b_1", "97.15");
  const { exit, stdout } = await bench.start("--min-gbps", "190");
  t.equal(exit, 1);
  t.match(stdout, "rail1: slow from b to a (the way between them?): 49 % (pod, write, alone)");
  t.match(stdout, "FAILED rail1, pod, b → a: 97.15 Gb/s < 190 Gb/s");
  t.match(bench.results().failures, [{ rail: "rail1", from: "b", to: "a" }]);
});

t.test("a lost node costs one run, and is named", async (t) => {
  const { api, pods, ...bench } = await benchFor(t as never);
  pods.setRate("a_0", "hang");
  const running = bench.start("--limit", "5");
  await until("the first run", () => pods.calls().length >= 2, { limitMs: 30_000 });
  api.lost = "b";
  const { exit, stderr } = await running;
  t.equal(exit, 2, "nothing could be measured");
  t.match(stderr, /cannot measure anything: cannot run a command at [ab]: no end within 5000 ms \(ETIMEDOUT\)/);
  t.same([...api.objects], [], "what the API server has goes, too");
});

for (const version of ["v4", "v5"] as const)
  t.test(`SIGINT removes all and writes nothing, also by exec ${version}`, async (t) => {
    const { api, pods, output, ...bench } = await benchFor(t as never);
    api.version = version;
    pods.setRate("a_0", "hang");
    const running = bench.start();
    await until("server and client", () => pods.calls().length >= 2, { limitMs: 30_000 });
    running.kill("SIGINT");
    const { exit, stdout, stderr } = await running;
    t.match({ exit, stdout }, { exit: 130, stdout: "" }, stderr);
    t.notOk(existsSync(`${output}.json`));
    t.same([...api.objects], []);
    await until("the end of what ran in pods", () => pods.processes() === "", { limitMs: 30_000 });
  });

t.test(
  "a pod that cannot run is named with its reason; the wrong words are refused before anything is made",
  async (t) => {
    const { api, ...bench } = await benchFor(t as never);
    api.waiting.set("b", "ErrImagePull");
    const { exit, stderr } = await bench.start();
    t.equal(exit, 2);
    t.match(
      stderr,
      /b cannot take part: its pod railnet-bench-\w+-pod-1 waits for its image: ErrImagePull: no such image/,
    );
    t.same([...api.objects], []);
    const before = api.writes.length;
    for (const [args, message] of [
      [["--tests", "fast"], /cannot use --tests "fast": want some of write, read, send, latency/],
      [["--bandwidth=-n 5; reboot"], /cannot use --bandwidth .*: want letters/],
      [["--max-pod-loss", "2"], /cannot use --max-pod-loss 2: .* give --host, too/],
      [["--nodes", "a,nowhere"], /cannot measure nowhere: no such node; the cluster has a, b/],
      [["--nodes", "a", "--nodes", "b"], /cannot use --nodes "a b": it was given more than once/],
      [["--nodes", "a"], /cannot measure: one node is named, two are needed/],
      [["--networks", "rail9"], /cannot use --networks rail9: there is no network rail9 in namespace default/],
    ] as const)
      t.match(await bench.start(...args), { exit: 2, stderr: message });
    t.equal(api.writes.length, before);
  },
);
