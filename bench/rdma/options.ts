import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { Task } from "./measure.ts";
import type { Gates } from "./report.ts";

export const USAGE = `usage: npm run bench rdma -- [option...]

Bandwidth and latency of RDMA, rail by rail, of hosts and of pods; prints a table, writes bench/out/rdma.json.
Exit code: 0; 1 when a rail could not be measured or misses a gate (it is named); 2 when nothing could be measured.

Where
  (nothing)             two test machines with soft-RoCE on real VFs; only ratios mean something there
  --pods A,B            two running pods with rails, as NAMESPACE/NAME, by kubectl; their image has perftest and
                        iproute2 (bench/rdma/README.md has a manifest)
  --hosts A,B           two pods with hostNetwork on the same nodes, to compare with; needs --host-rails
  --host-rails LIST     their links, alike on both nodes: rail0=ens1f0np0,rail1=ens1f1np1
  --rails LIST          only these: rail0,rail2
What
  --bandwidth=ARGS      of ib_write_bw, at both ends (default "-D 10 -q 4"; test machines "-n 60 -t 4 -u 18")
  --latency=ARGS        of ib_write_lat, at both ends (default "-n 1000"; test machines "-n 100 -u 18")
  --at-once             then the bandwidth of all rails at the same time
  --limit SECONDS       of each run (default 120)
  --json FILE           where the rows go (default bench/out/rdma.json)
Gates
  --min-gbps N          of each rail, host and pod, in its slower direction
  --max-pod-loss PCT    what a pod may lose of its host's bandwidth
  --allow-tcp           a rail without RDMA device meets the gates by TCP (iperf3); otherwise it fails them

Examples
  npm run bench rdma
  npm run bench rdma -- --pods perf/a,perf/b --min-gbps 190
  npm run bench rdma -- --pods perf/a,perf/b --hosts perf/host-a,perf/host-b \\
    --host-rails rail0=ens1f0np0,rail1=ens1f1np1 --min-gbps 190 --max-pod-loss 2
  npm run bench rdma -- --pods perf/a,perf/b --bandwidth="-D 10 -q 4 -m 4096 --tclass 106"`;

const OPTIONS = {
  pods: { type: "string" },
  hosts: { type: "string" },
  "host-rails": { type: "string" },
  rails: { type: "string" },
  bandwidth: { type: "string" },
  latency: { type: "string" },
  "at-once": { type: "boolean", default: false },
  limit: { type: "string", default: "120" },
  json: { type: "string", default: resolve(import.meta.dirname, "../out/rdma.json") },
  "min-gbps": { type: "string" },
  "max-pod-loss": { type: "string" },
  "allow-tcp": { type: "boolean", default: false },
  help: { type: "boolean", default: false },
} as const;

export interface Options {
  /** Absent: the test machines. */
  readonly pods?: string;
  readonly hosts?: { readonly pods: string; readonly rails: string };
  /** Absent: all. */
  readonly rails?: readonly string[];
  readonly atOnce: boolean;
  /** Path of the file of rows. */
  readonly json: string;
  readonly gates: Gates;
  readonly runs: Pick<Task, "bandwidth" | "latency" | "tcpSeconds" | "limitMs">;
}

/** Emulated processors: few exchanges, few in flight, and patience (-u) before one is sent again. */
const ON_MACHINES = { bandwidth: "-n 60 -t 4 -u 18", latency: "-n 100 -u 18", tcpSeconds: 2 };
const ON_HARDWARE = { bandwidth: "-D 10 -q 4", latency: "-n 1000", tcpSeconds: 10 };

/** Undefined: help is asked for. */
export function parseOptions(args: readonly string[]): Options | undefined {
  const { values } = parseArgs({ args: [...args], options: OPTIONS });
  if (values.help) return undefined;
  const { pods, hosts, rails } = values;
  if (hosts && !pods) throw new Error("cannot use --hosts without --pods: there is nothing to compare (EINVAL)");
  if (Boolean(hosts) !== Boolean(values["host-rails"]))
    throw new Error("--hosts and --host-rails need each other (EINVAL)");
  const usual = pods ? ON_HARDWARE : ON_MACHINES;
  const minGbps = positive("--min-gbps", values["min-gbps"]);
  const maxPodLoss = positive("--max-pod-loss", values["max-pod-loss"]);
  if (maxPodLoss !== undefined && pods && !hosts)
    throw new Error("cannot use --max-pod-loss without --hosts: a pod loses against its host (EINVAL)");
  return {
    ...(pods && { pods }),
    ...(hosts && { hosts: { pods: hosts, rails: values["host-rails"]! } }),
    ...(rails && { rails: rails.split(",").map((rail) => rail.trim()) }),
    atOnce: values["at-once"],
    json: values.json,
    gates: {
      ...(minGbps !== undefined && { minGbps }),
      ...(maxPodLoss !== undefined && { maxPodLoss }),
      allowTcp: values["allow-tcp"],
    },
    runs: {
      bandwidth: perftestArguments("--bandwidth", values.bandwidth ?? usual.bandwidth),
      latency: perftestArguments("--latency", values.latency ?? usual.latency),
      tcpSeconds: usual.tcpSeconds,
      limitMs: 1000 * positive("--limit", values.limit)!,
    },
  };
}

function positive(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  if (!/^\d+(\.\d+)?$/.test(value) || Number(value) === 0)
    throw new Error(`cannot use ${option} ${value}: a positive number is expected (EINVAL)`);
  return Number(value);
}

/** They become part of a shell's text. */
function perftestArguments(option: string, value: string): string {
  if (/^[\w\s=.,:/-]*$/.test(value)) return value;
  throw new Error(`cannot use ${option} "${value}": only letters, digits and -_=.,:/ are expected (EINVAL)`);
}
