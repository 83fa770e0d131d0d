/** What `ib_write_bw` measured. */
export interface Bandwidth {
  /** 10^9 bits a second, the average of the run. */
  readonly gbps: number;
  /** Path MTU of the queue pair: RoCE's own steps, 256 to 4096. */
  readonly mtuBytes: number;
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

/**
 * Reads what `ib_write_bw` prints, with or without `--report_gbits`; one message size.
 * @throws on every format that is not known, on a run that was cut off, and on one that moved nothing.
 */
export function parseBandwidth(output: string): Bandwidth {
  if (/ Bidirectional BW Test$/m.test(output)) fail("both directions together (-b): leave that out", "Bidirectional");
  const { head, row, mtuBytes } = readTable(output);
  const [, unit, cpu] = BANDWIDTH_HEAD.exec(head) ?? fail("its columns are not those of ib_write_bw", head);
  const average = numberAt(row, 3, cpu ? 6 : 5); // the peak is 0 wherever it was not measured
  if (average === 0) throw new ZeroError(row);
  return { gbps: average * GBPS[unit as Unit], mtuBytes };
}

/** Reads what `ib_write_lat` prints; one message size. Throws as `parseBandwidth` does. */
export function parseLatency(output: string): Latency {
  const { head, row, mtuBytes } = readTable(output);
  if (/ t_avg\[usec\] tps average$/.test(head))
    fail("latency has percentiles only with a number of exchanges (-n), not with a duration (-D)", head);
  if (!LATENCY_HEAD.test(head)) fail("its columns are not those of ib_write_lat", head);
  const [typicalUs, p99Us] = [numberAt(row, 4, 9), numberAt(row, 7, 9)];
  if (!typicalUs || !p99Us) fail("it says that an exchange took no time", row);
  return { typicalUs, p99Us, mtuBytes };
}

/** The result is a head, a row and a rule; what stands before and after differs from version to version. */
function readTable(output: string): { head: string; row: string; mtuBytes: number } {
  const lines = output.split("\n").map((line) => line.trim().replace(/\s+/g, " "));
  const begin = lines.findIndex((line) => line.startsWith("#bytes"));
  if (begin < 0) fail("no result", lines.findLast(Boolean) ?? "");
  const end = lines.findIndex((line, i) => i > begin && RULE.test(line));
  if (end < 0) fail("cut off in the result", lines.findLast(Boolean)!);
  const rows = lines.slice(begin + 1, end).filter((line) => !CLOCK_WARNING.test(line));
  if (rows.length !== 1) fail(`${rows.length} rows where one is expected (one message size, one port)`, rows[0] ?? "");
  const mtu = /^ *Mtu *: (\d+)\[B\]/m.exec(output)?.[1] ?? fail("no MTU", lines[begin]!);
  return { head: lines[begin]!, row: rows[0]!, mtuBytes: Number(mtu) };
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
  throw new Error(`cannot read perftest's output: ${why}: "${line}" (EBADMSG)`);
}
