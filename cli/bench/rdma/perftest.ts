import type { BandwidthTest } from "./results.ts";

/** What `ib_write_bw`, `ib_read_bw` or `ib_send_bw` measured. */
export interface Bandwidth {
  /** 10^9 bits a second, the average of the run. */
  readonly gbps: number;
  /** Path MTU of the queue pair: RoCE's own steps, 256 to 4096. */
  readonly mtuBytes: number;
}

/** One row of a sweep over message sizes (`-a`). */
export interface SizedBandwidth {
  readonly bytes: number;
  readonly gbps: number;
}

/** What `ib_write_lat` measured: half of a round trip. */
export interface Latency {
  readonly typicalUs: number;
  readonly p99Us: number;
  readonly mtuBytes: number;
}

/** A bandwidth of 0, though the run ended well: perftest could not tell the speed of its clock. Worth another try. */
export class ZeroError extends Error {
  override readonly name = "ZeroError";
  constructor(row: string) {
    super(`cannot read perftest's output: it says that nothing was moved: "${row}" (EBADMSG)`);
  }
}

/** perftest before 23 writes "MB" and means MiB as well: it divides by 0x100000. */
const GBPS = { "Gb/sec": 1, "MB/sec": (8 * 2 ** 20) / 1e9, "MiB/sec": (8 * 2 ** 20) / 1e9 } as const;
type Unit = keyof typeof GBPS;

const BANDWIDTH_HEAD =
  /^#bytes #iterations BW peak\[(Gb\/sec|MB\/sec|MiB\/sec)\] BW average\[\1\] MsgRate\[Mpps\]( CPU_Util\[%\])?$/;
const LATENCY_HEAD =
  /^#bytes #iterations t_min\[usec\] t_max\[usec\] t_typical\[usec\] t_avg\[usec\] t_stdev\[usec\] 99% percentile\[usec\] 99\.9% percentile\[usec\]$/;
const RULE = /^-{20,}$/;
/** The one line that perftest may put between head and row. */
const CLOCK_WARNING = /^Conflicting CPU frequency values detected: /;

/** The line under the first rule: which program it is. */
const TITLES = { write: "RDMA_Write BW Test", read: "RDMA_Read BW Test", send: "Send BW Test" } as const;

/**
 * Reads what a bandwidth test prints, with or without `--report_gbits`; one message size. The formats are those of
 * perftest_parameters.h, RESULT_FMT and RESULT_FMT_G, in 4.5 (Debian 12) and 25.01 (Debian 13 and newer).
 *
 * @throws on every format that is not known, on a run that was cut off, and on one that moved nothing.
 */
export function parseBandwidth(output: string, test: BandwidthTest = "write"): Bandwidth {
  const { rows, mtuBytes } = readBandwidth(output, test);
  const [row] = rows;
  if (rows.length !== 1)
    fail(`${rows.length} rows where one is expected (one message size, one port)`, row?.text ?? "");
  if (row!.gbps === 0) throw new ZeroError(row!.text);
  return { gbps: row!.gbps, mtuBytes };
}

/**
 * Reads a sweep over message sizes: sizes grow from row to row. Rows that say that nothing was moved are left out:
 * small messages, whose 0.00 is a rounded one.
 *
 * @throws as `parseBandwidth` does, and when nothing is left.
 */
export function parseSweep(output: string, test: BandwidthTest = "write"): SizedBandwidth[] {
  const { rows } = readBandwidth(output, test);
  const grows = rows.every(({ bytes }, i) => i === 0 || bytes > rows[i - 1]!.bytes);
  if (!grows) fail("sizes do not grow from row to row", rows.at(-1)!.text);
  const sizes = rows.filter(({ gbps }) => gbps > 0).map(({ bytes, gbps }) => ({ bytes, gbps }));
  if (sizes.length === 0) fail("no row moved anything", rows.at(-1)?.text ?? "");
  return sizes;
}

function readBandwidth(output: string, test: BandwidthTest) {
  if (/ Bidirectional BW Test$/m.test(output)) fail("both directions together (-b): leave that out", "Bidirectional");
  const { head, rows, mtuBytes, lines } = readTable(output);
  const [, unit, cpu] = BANDWIDTH_HEAD.exec(head) ?? fail("its columns are not those of ib_write_bw", head);
  if (!lines.includes(TITLES[test])) fail(`its title is not "${TITLES[test]}"`, lines.find((line) => line.endsWith("Test")) ?? ""); // biome-ignore format: one row
  const factor = GBPS[unit as Unit];
  const read = (text: string) => {
    const average = numberAt(text, 3, cpu ? 6 : 5); // the peak is 0 wherever it was not measured
    return { text, bytes: Number(text.split(" ")[0]), gbps: average * factor };
  };
  return { rows: rows.map(read), mtuBytes };
}

/** Reads what `ib_write_lat` prints; one message size. Throws as `parseBandwidth` does. */
export function parseLatency(output: string): Latency {
  const { head, rows, mtuBytes } = readTable(output);
  const [row = ""] = rows;
  if (/ t_avg\[usec\] tps average$/.test(head))
    fail("latency has percentiles only with a number of exchanges (-n), not with a duration (-D)", head);
  if (!LATENCY_HEAD.test(head)) fail("its columns are not those of ib_write_lat", head);
  if (rows.length !== 1) fail(`${rows.length} rows where one is expected (one message size, one port)`, row);
  const [typicalUs, p99Us] = [numberAt(row, 4, 9), numberAt(row, 7, 9)];
  if (!typicalUs || !p99Us) fail("it says that an exchange took no time", row);
  return { typicalUs, p99Us, mtuBytes };
}

/** The result is a head, rows and a rule; what stands before and after differs from version to version. */
function readTable(output: string) {
  const lines = output.split("\n").map((line) => line.trim().replace(/\s+/g, " "));
  const begin = lines.findIndex((line) => line.startsWith("#bytes"));
  if (begin < 0) fail("no result", lines.findLast(Boolean) ?? "");
  const end = lines.findIndex((line, i) => i > begin && RULE.test(line));
  if (end < 0) fail("cut off in the result", lines.findLast(Boolean)!);
  const rows = lines.slice(begin + 1, end).filter((line) => !CLOCK_WARNING.test(line));
  const mtu = lines.flatMap((line) => /^Mtu : (\d+)\[B\]/.exec(line)?.[1] ?? [])[0] ?? fail("no MTU", lines[begin]!);
  return { lines, head: lines[begin]!, rows, mtuBytes: Number(mtu) };
}

/** A cell of a row with just `count` cells. The other cells may be "-nan": perftest takes roots of what rounding made negative. */
function numberAt(row: string, index: number, count: number): number {
  const cells = row.split(" ");
  if (cells.length !== count) fail(`${cells.length} columns where its head has ${count}`, row);
  const odd = cells.find((cell, i) => !(/^\d+(\.\d+)?$/.test(cell) || (i !== index && /^-?nan$/.test(cell))));
  if (odd !== undefined) fail(`"${odd}" is not a number`, row);
  return Number(cells[index]);
}

function fail(why: string, line: string): never {
  throw new Error(`cannot read perftest's output: ${why}: "${line.slice(0, 200)}" (EBADMSG)`);
}
