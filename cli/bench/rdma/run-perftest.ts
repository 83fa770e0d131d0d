import { exchange } from "./exchange.ts";
import { parseIperf } from "./iperf.ts";
import type { Path } from "./path.ts";
import {
  type Bandwidth,
  type Latency,
  parseBandwidth,
  parseLatency,
  parseSweep,
  type SizedBandwidth,
  ZeroError,
} from "./perftest.ts";
import type { ShellLimits } from "./place.ts";
import type { BandwidthTest } from "./results.ts";

export interface PerftestTask extends ShellLimits {
  /** Arguments of the bandwidth tests and of `ib_write_lat`, the same at both ends. */
  readonly bandwidth: string;
  readonly latency: string;
  /** Seconds that `iperf3` sends. */
  readonly tcpSeconds: number;
}

/** Of a figure that perftest's clock made 0; seen on emulated processors under load. */
const TRIES = 3;

/**
 * Bandwidth from the first end to the second. A read is asked for by the end that the bytes go to; TCP stands in where
 * an end has no RDMA device.
 */
export async function measureBandwidth(
  path: Path,
  task: PerftestTask,
  test: BandwidthTest = "write",
): Promise<Pick<Bandwidth, "gbps"> & Partial<Bandwidth>> {
  const way = test === "read" ? turned(path) : path;
  if (path.transport === "rdma") return rdmaBandwidth(way, task, test, TRIES);
  const [client, server] = path.ends;
  const send = `exec iperf3 -c ${server.address} -B ${client.address} -p ${path.port} -t ${task.tcpSeconds} --json`;
  return { gbps: parseIperf(await exchange(path.ends, path.port, `exec iperf3 -s -1 -p ${path.port}`, send, task)) };
}

async function rdmaBandwidth(path: Path, task: PerftestTask, test: BandwidthTest, tries: number): Promise<Bandwidth> {
  const output = await perftest(`ib_${test}_bw`, `--report_gbits ${task.bandwidth}`, path, task);
  try {
    return parseBandwidth(output, test);
  } catch (error) {
    if (tries > 1 && error instanceof ZeroError) return rdmaBandwidth(path, task, test, tries - 1);
    throw error;
  }
}

/** Bandwidth of `ib_write_bw` by message size, 2 bytes to 8 MiB. */
export async function measureSweep(path: Path, task: PerftestTask, args: string): Promise<SizedBandwidth[]> {
  return parseSweep(await perftest("ib_write_bw", `--report_gbits -a ${args}`, path, task));
}

export async function measureLatency(path: Path, task: PerftestTask): Promise<Latency> {
  return parseLatency(await perftest("ib_write_lat", task.latency, path, task));
}

const turned = (path: Path): Path => ({ ...path, ends: [path.ends[1], path.ends[0]] });

/** -F: a clock that is not at its maximum is a warning. */
function perftest(program: string, args: string, { port, ends }: Path, task: PerftestTask): Promise<string> {
  const [client, server] = ends.map(
    ({ gid }) => `exec ${program} -F -d ${gid!.device} -i ${gid!.port} -x ${gid!.index} -p ${port} ${args}`,
  );
  return exchange(ends, port, server!, `${client} ${ends[1].address}`, task);
}
