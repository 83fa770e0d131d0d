import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { VERSION } from "../../../daemonset/version.ts";
import { connect } from "../../../ipam/connect.ts";
import { accessBy } from "../../../kubernetes/access.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import { UsageError } from "../../ipam/options.ts";
import { Progress } from "../../ipam/progress.ts";
import { fromCaller } from "../../ipam/store-target.ts";
import { print } from "../../output.ts";
import { randomFrom } from "../../random.ts";
import { userKubeconfig } from "../../user-kubeconfig.ts";
import { oddOnes } from "./analysis.ts";
import { BenchPods } from "./bench-pods.ts";
import { causesOf } from "./causes.ts";
import { type Chosen, chooseEnds, resourcesOf } from "./choose.ts";
import { benchEnd } from "./facts.ts";
import { type BenchGates, failuresOf, readBaseline } from "./gates.ts";
import { junit } from "./junit.ts";
import { measurePlan, type PlanTask } from "./measure-plan.ts";
import { checkOptions, hostRailsOf, listOf, type RdmaOptions, testsOf } from "./options.ts";
import { page } from "./page.ts";
import { cellsIn, type PlanStep, planOf } from "./plan.ts";
import type { BenchSettings, PodOrder, PodRails } from "./pods.ts";
import { type Benched, benchedEnds, surveyAgain } from "./ready-ends.ts";
import { type BenchResults, type Cell, SCHEMA } from "./results.ts";
import { summary } from "./summary.ts";
import { TimeLeft } from "./time-left.ts";

const [FAILED, NOTHING, INTERRUPTED] = [1, 2, 130] as const;

/** @returns the exit code. */
export async function benchRdma(options: RdmaOptions): Promise<number> {
  const stop = new AbortController();
  using progress = new Progress();
  for (const signal of ["SIGINT", "SIGTERM"] as const)
    process.once(signal, () => {
      progress.say(`railnet: ${signal}: removing the pods; once more leaves that to the cluster`);
      stop.abort(new Error(`interrupted by ${signal}`));
    });
  try {
    checkOptions(options);
    return await bench(options, stop.signal, progress);
  } catch (error) {
    const first = error instanceof SuppressedError ? error.suppressed : error;
    progress.say(`railnet: ${stop.signal.aborted ? "interrupted: nothing was written" : (first as Error).message}`);
    if (error instanceof UsageError) return NOTHING;
    return stop.signal.aborted ? INTERRUPTED : NOTHING;
  }
}

async function bench(options: RdmaOptions, signal: AbortSignal, progress: Progress): Promise<number> {
  const gates = gatesOf(options); // a baseline that cannot be read is no reason to measure for an hour
  const kubeconfig = userKubeconfig(options.kubeconfig, process.env);
  const cluster = await connect({ timeLimitMs: 60_000, ...(kubeconfig && { kubeconfig }) });
  const rails = await railsFor(options, cluster);
  const chosen = await chooseEnds(cluster, listOf(options.nodes), rails);
  const sides: Cell["side"][] = options.host ? ["host", "pod"] : ["pod"];
  const settings = settingsOf(options, rails, chosen.ends.length);
  const orders = ordersFor(chosen, sides, settings.id);
  const begun = new Date().toISOString();
  progress.say(
    `${orders.length} pods on ${chosen.ends.length} nodes, owned by job ${settings.namespace}/${settings.id}`,
  );
  await using pods = await BenchPods.create(cluster, settings, orders, (line) => progress.say(`railnet: ${line}`));
  const limits = { signal, limitMs: options.readySeconds * 1000, say: (running: number) => progress.at("pods that run:", running, orders.length) }; // biome-ignore format: one row
  const ready = await pods.ready(orders, limits);
  const ends = await benchedEnds({ chosen, sides, ready, orders, hostRails: hostRailsOf(options), access: accessBy(kubeconfig), limits: { signal, limitMs: options.limit * 1000 } }); // biome-ignore format: one row
  for (const error of ends.errors) progress.say(`railnet: ${error}`);
  const chosenRails = railsToMeasure(options, ends.rails);
  const steps = planFor(options, chosen, sides, chosenRails);
  const cells = await measurePlan(steps, ends.of, taskOf(options, signal, progress, steps));
  if (!cells.some(({ gbps }) => gbps !== undefined)) throw new Error(`cannot measure anything: ${cells[0]?.error ?? "no pairs"}`); // biome-ignore format: one row
  const after = await surveyAgain(ends, { signal, limitMs: options.limit * 1000 });
  progress.at("removing the pods");
  const results = resultsOf({ options, begun, chosen, ends, cells, after, rails: chosenRails, gates });
  write(options, results);
  print(summary(results));
  return results.failures.length > 0 ? FAILED : 0;
}

async function railsFor({ networks, network, rails, namespace }: RdmaOptions, cluster: Cluster): Promise<PodRails> {
  if (!networks) return { label: rails === "all" ? "all" : listOf(rails).join("."), ...(network && { network }) };
  const list = listOf(networks);
  return { networks: list, resources: await resourcesOf(cluster, namespace, list) };
}

const ordersFor = ({ ends }: Chosen, sides: readonly Cell["side"][], id: string): PodOrder[] => {
  const nodes = [...new Set(ends.map(({ node }) => node))];
  return [
    ...ends.map(({ node }, i): PodOrder => ({ name: `${id}-pod-${i}`, node, side: "pod" })),
    ...(sides.includes("host")
      ? nodes.map((node, i): PodOrder => ({ name: `${id}-host-${i}`, node, side: "host" }))
      : []),
  ];
};

/** `-D 5` of perftest, with what it takes around; a number of exchanges takes nobody knows how long. */
const secondsOf = (args: string): number => Number(/-D (\d+)/.exec(args)?.[1] ?? 15) + 4;

function settingsOf(options: RdmaOptions, rails: PodRails, ends: number): BenchSettings {
  const { namespace, image, pullPolicy, privileged: isPrivileged, readySeconds, maxSeconds } = options;
  const rounds = 2 * Math.min(ends, options.sample ?? ends) * (options.host ? 2 : 1);
  const count = "networks" in rails ? rails.networks.length : 8; // rails of a label are not known yet
  const waves = Math.ceil(ends / 2 / options.parallel);
  const runs = rounds * count * waves * (testsOf(options).bandwidth.length + 2 + (options.incast ? ends : 0));
  const seconds = maxSeconds ?? Math.ceil(readySeconds + 900 + 2 * runs * secondsOf(options.bandwidth));
  const id = `railnet-bench-${randomBytes(4).toString("hex")}`;
  return { id, namespace, image, pullPolicy, seconds, rails, isPrivileged };
}

function railsToMeasure({ rails }: RdmaOptions, there: readonly string[]): string[] {
  if (there.length === 0) throw new Error("cannot measure: no pod has a network of Multus besides the cluster's own (network-status)"); // biome-ignore format: one row
  if (rails === "all") return [...there];
  const isNamed = (rail: string, name: string) => rail === name || rail.endsWith(`-${name}`);
  const unknown = listOf(rails).filter((name) => !there.some((rail) => isNamed(rail, name)));
  if (unknown.length > 0) throw new Error(`cannot measure ${unknown.join(", ")}: the rails of the pods are ${there.join(", ")}`); // biome-ignore format: one row
  return there.filter((rail) => listOf(rails).some((name) => isNamed(rail, name)));
}

function planFor(
  options: RdmaOptions,
  { ends }: Chosen,
  sides: readonly Cell["side"][],
  rails: readonly string[],
): PlanStep[] {
  const { bandwidth, hasLatency } = testsOf(options);
  const { atOnce, incast, sample, sweep: hasSweep } = options;
  const random = randomFrom(options.seed);
  const plan = { ends: ends.length, rails, sides, tests: bandwidth, hasLatency, hasSweep, atOnce, incast, random };
  const steps = planOf({ ...plan, ...(sample !== undefined && { sample }) });
  const isOneNode = (one: number, other: number) => ends[one]!.node === ends[other]!.node;
  return steps.map((step) => ({ ...step, pairs: step.pairs.filter(([from, to]) => step.side === "pod" || !isOneNode(from, to)) })); // biome-ignore format: one row
}

function taskOf(options: RdmaOptions, signal: AbortSignal, progress: Progress, steps: readonly PlanStep[]): PlanTask {
  const total = cellsIn(steps);
  const left = new TimeLeft(total, () => performance.now());
  const onCell = (cell: Cell, done: number) => {
    const figure = cell.gbps === undefined ? "failed" : `${Number(cell.gbps.toPrecision(4))} Gb/s`;
    const what = `${cell.rail} ${cell.from} → ${cell.to} (${cell.side}, ${cell.test}, ${cell.mode}): ${figure}`;
    progress.at(`${what}; ${left.after(done)}`, done, total);
  };
  const { bandwidth, latency, sweepArgs: sweep, parallel: atOnce, limit } = options;
  const tcpSeconds = Number(/-D (\d+)/.exec(bandwidth)?.[1] ?? 5);
  return {
    bandwidth,
    latency,
    sweep,
    atOnce,
    tcpSeconds,
    signal,
    limitMs: limit * 1000,
    probeMs: Math.min(15, limit) * 1000,
    onCell,
  };
}

function gatesOf(options: RdmaOptions): BenchGates {
  const { minGbps, maxPodLoss, maxSpread, allowTcp, baseline, maxBaselineLoss: maxLoss } = options;
  const path = baseline && fromCaller(baseline, process.env);
  return {
    ...(minGbps !== undefined && { minGbps }),
    ...(maxPodLoss !== undefined && { maxPodLoss }),
    ...(maxSpread !== undefined && { maxSpread }),
    ...(path && { baseline: { cells: readBaseline(readFileSync(path, "utf8"), path), maxLoss } }),
    allowTcp,
  };
}

interface Measured {
  readonly options: RdmaOptions;
  readonly begun: string;
  readonly chosen: Chosen;
  readonly ends: Benched;
  readonly cells: readonly Cell[];
  readonly after: Benched["surveys"];
  readonly rails: readonly string[];
  readonly gates: BenchGates;
}

function resultsOf({ options, begun, chosen, ends, cells, after, rails, gates }: Measured): BenchResults {
  const described = chosen.ends.map((end, i) => benchEnd({ ...end, ...ends.factsOf(i, after), railNode: chosen.railNodes.get(end.node) }, rails)); // biome-ignore format: one row
  const odd = oddOnes(cells).map((one) => ({ ...one, causes: causesOf(one, described, cells) }));
  const { bandwidth, latency, tests, sample, seed, image } = options;
  return {
    schema: SCHEMA,
    begun,
    ended: new Date().toISOString(),
    versions: { railnet: VERSION, image },
    settings: { tests, bandwidth, latency, ...(sample !== undefined && { sample, seed }) },
    rails,
    ends: described,
    cells,
    odd,
    failures: failuresOf(cells, gates),
  };
}

function write({ output, junit: report }: RdmaOptions, results: BenchResults): void {
  const path = fromCaller(output, process.env);
  writeFileSync(`${path}.json`, `${JSON.stringify(results, undefined, 2)}\n`);
  writeFileSync(`${path}.html`, page(results));
  if (report) writeFileSync(fromCaller(report, process.env), junit(results));
}
