import { mkdtempSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import type { Test } from "tap";
import type { BenchResults } from "../../../../cli/bench/rdma/results.ts";
import type { Json } from "../../../../lab/cluster/raw.ts";
import type { Cluster } from "../../../../lab/kubelet/cluster.ts";
import { makePerftestImage } from "../../../../lab/kubelet/perftest-image.ts";
import { type Running, start } from "../../../../lab/netns/run.ts";
import { until } from "../../../../lab/until.ts";
import { unlikeSchema } from "../../../cli/bench/support/schema.ts";

const RAILNET = resolve(import.meta.dirname, "../../../../dist/railnet");
const PODS = "/api/v1/namespaces/default/pods?labelSelector=railnet.io%2Fbench";
const JOBS = "/apis/batch/v1/namespaces/default/jobs?labelSelector=railnet.io%2Fbench";
const LIMIT = { limitMs: 60_000, everyMs: 200 };

/** `railnet bench rdma` as its user runs it: two pods of the one node, rails by Multus and the device plugin. */
function startBench({ api }: Cluster, output: string, seconds: number, ...args: string[]): Running {
  const where = ["--nodes", "node1,node1", "--networks", "rail0,rail1,rail2,rail3", "--kubeconfig", api.kubeconfig()];
  const what = ["--pull-policy", "Never", `--bandwidth=-D ${seconds}`, "--output", output];
  return start(RAILNET, ["bench", "rdma", ...where, ...what, ...args], { env: { PATH: "/usr/bin:/bin" } });
}

const left = async ({ api }: Cluster): Promise<Json[]> =>
  (await Promise.all([api.raw.list(PODS), api.raw.list(JOBS)])).flat();
const none = (cluster: Cluster) => until("nothing is left", async () => (await left(cluster)).length === 0, LIMIT);
/** Waits until it measures. @throws {Error} what it said, when it ends before. */
const measuring = ({ node }: Cluster, bench: Running): Promise<void> =>
  Promise.race([
    until("iperf3 runs", async () => (await node.run(["pgrep", "-c", "-x", "iperf3"])).exit === 0, LIMIT),
    Promise.resolve(bench).then(({ exit, stdout, stderr }) => {
      throw new Error(`the bench has ended with ${exit}: ${stdout}${stderr}`);
    }),
  ]);

/** What the bench makes by the real API server, scheduler, kubelet and Multus, and what is left of it. */
export async function benchTests(t: Test, cluster: Cluster): Promise<void> {
  await cluster.containerd.load(await makePerftestImage(cluster.node.folder));
  const folder = mkdtempSync(join(cluster.node.folder, "bench-"));
  await t.test("four rails both ways, hosts beside pods, with files, and nothing left", async (t) => {
    const output = join(folder, "all");
    const { exit, stdout, stderr } = await startBench(cluster, output, 1, "--junit", `${output}.xml`, "--at-once");
    t.equal(exit, 0, stderr);
    t.comment(stdout);
    const results = JSON.parse(readFileSync(`${output}.json`, "utf8")) as BenchResults;
    t.same(unlikeSchema(results), []);
    const ways = results.cells.map(({ rail, from, to, mode, transport, gbps }) => [rail, from, to, mode, transport, gbps! > 0.01].join(" ")); // biome-ignore format: one row
    const wanted = ["alone", "at-once"].flatMap((mode) =>
      ["rail0", "rail1", "rail2", "rail3"].flatMap((rail) => [
        `${rail} node1#1 node1#2 ${mode} tcp true`,
        `${rail} node1#2 node1#1 ${mode} tcp true`,
      ]),
    );
    t.same(ways.sort(), wanted.sort());
    const addresses = results.ends.flatMap(({ rails }) => Object.values(rails).map(({ address }) => address));
    t.equal(new Set(addresses).size, 8, addresses.join());
    t.match(readFileSync(`${output}.html`, "utf8"), 'data-key="pod alone write rail3 tcp"');
    t.match(readFileSync(`${output}.xml`, "utf8"), '<testcase classname="rdma.pod.alone.write.rail0"');
    t.same(await left(cluster), []);
  });
  await t.test("gates that RDMA alone can meet name the rails, and the exit code is 1", async (t) => {
    const { exit, stdout } = await startBench(
      cluster,
      join(folder, "gates"),
      1,
      "--rails",
      "rail1",
      "--min-gbps",
      "0.001",
    );
    t.equal(exit, 1);
    t.match(stdout, /^FAILED rail1, pod, node1#1 → node1#2: no RDMA device \(TCP [\d.]+ Gb\/s\)$/m);
  });
  await t.test("SIGINT removes the pods and writes nothing", async (t) => {
    const bench = startBench(cluster, join(folder, "int"), 60);
    await measuring(cluster, bench);
    bench.kill("SIGINT");
    const { exit, stdout } = await bench;
    t.match({ exit, stdout }, { exit: 130, stdout: "" });
    t.same(await left(cluster), []);
  });
  await t.test("what a killed client left ends by itself, and VFs with it", async (t) => {
    const bench = startBench(cluster, join(folder, "kill"), 60, "--max-seconds", "20");
    await measuring(cluster, bench);
    bench.kill("SIGKILL");
    await bench;
    await none(cluster);
    t.equal((await cluster.node.run(["pgrep", "-c", "-x", "iperf3"])).exit, 1);
  });
  await t.test("a node that lacks what pods need is named, with the reason", async (t) => {
    const bench = startBench(
      cluster,
      join(folder, "no"),
      1,
      "--image",
      "registry.local/none:1",
      "--ready-seconds",
      "60",
    );
    t.match(await bench, { exit: 2, stderr: /node1#1 cannot take part: its pod railnet-bench-\S+ waits for its image: ErrImageNeverPull/ }); // biome-ignore format: one row
    t.same(await left(cluster), []);
  });
}
