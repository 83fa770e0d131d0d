import { type BenchResults, type Cell, type GateFailure, type Matrix, matricesOf } from "./results.ts";

/** What is promised of every cell; absent: nothing. */
export interface BenchGates {
  readonly minGbps?: number;
  /** Of the hosts' bandwidth between the same nodes, in percent. */
  readonly maxPodLoss?: number;
  /** Between the best and the worst cell of a rail, in percent of the best one. */
  readonly maxSpread?: number;
  /** Results of an earlier run, and how much of its figures may be lost, in percent. */
  readonly baseline?: { readonly cells: readonly Cell[]; readonly maxLoss: number };
  /** A rail that only TCP could measure meets the gates by its TCP figure; else it fails every one. */
  readonly allowTcp: boolean;
}

/** What could not be measured or misses a gate. A cell without a figure fails without any gate. */
export function failuresOf(cells: readonly Cell[], gates: BenchGates): GateFailure[] {
  return [
    ...cells.flatMap((cell) => failed(cell, gates, cells)),
    ...matricesOf(cells).flatMap((one) => spread(one, gates)),
  ];
}

function failed(cell: Cell, gates: BenchGates, cells: readonly Cell[]): GateFailure[] {
  const { rail, from, to, side, error, gbps, transport } = cell;
  const say = (why: string): GateFailure => ({ rail, from, to, side, why: `${whatOf(cell)}${why}` });
  if (error !== undefined || gbps === undefined) return [say(error ?? "not measured")];
  const isGated = gates.minGbps !== undefined || gates.maxPodLoss !== undefined || gates.maxSpread !== undefined || gates.baseline !== undefined; // biome-ignore format: one row
  if (transport === "tcp" && isGated && !gates.allowTcp) return [say(`no RDMA device (TCP ${shown(gbps)})`)];
  return [...minimum(cell, gbps, gates), ...podLoss(cell, gbps, gates, cells), ...regression(cell, gbps, gates)].map(
    say,
  );
}

/** Many senders share the receiver's line: a single one of them has no minimum. */
const minimum = ({ mode }: Cell, gbps: number, { minGbps }: BenchGates): string[] =>
  minGbps !== undefined && mode !== "incast" && gbps < minGbps ? [`${shown(gbps)} < ${minGbps} Gb/s`] : [];

function podLoss(cell: Cell, gbps: number, { maxPodLoss }: BenchGates, cells: readonly Cell[]): string[] {
  if (maxPodLoss === undefined || cell.side === "host" || cell.mode === "incast") return [];
  const host = cells.find((other) => isSame({ ...cell, side: "host" }, other));
  if (!host?.gbps) return ["no host beside it to compare with"];
  if (host.transport !== cell.transport)
    return ["pod and host were measured by different transports: no loss to compare"];
  const loss = 100 * (1 - gbps / host.gbps);
  return loss > maxPodLoss
    ? [`pod loses ${loss.toFixed(1)} % of the host's ${shown(host.gbps)} > ${maxPodLoss} %`]
    : [];
}

function regression(cell: Cell, gbps: number, { baseline }: BenchGates): string[] {
  const before = baseline?.cells.find((other) => isSame(cell, other) && other.transport === cell.transport)?.gbps;
  if (!baseline || !before) return []; // a node that is new has nothing to lose
  const loss = 100 * (1 - gbps / before);
  return loss > baseline.maxLoss ? [`${shown(gbps)}, ${loss.toFixed(1)} % below the baseline's ${shown(before)}`] : [];
}

function spread({ cells, rail, side, mode, transport }: Matrix, { maxSpread, allowTcp }: BenchGates): GateFailure[] {
  if (maxSpread === undefined || (transport === "tcp" && !allowTcp)) return [];
  const measured = cells.filter((cell): cell is Cell & { gbps: number } => cell.gbps !== undefined);
  const sorted = measured.toSorted((a, b) => a.gbps - b.gbps);
  const [worst, best] = [sorted[0], sorted.at(-1)];
  if (!worst || !best) return [];
  const percent = 100 * (1 - worst.gbps / best.gbps);
  if (percent <= maxSpread) return [];
  const { from, to } = worst;
  return [{ rail, from, to, side, why: `${mode}: ${shown(worst.gbps)} is ${percent.toFixed(1)} % below the best pair (${best.from} → ${best.to}, ${shown(best.gbps)}) > ${maxSpread} %` }]; // biome-ignore format: one row
}

/** The same way, measured the same way. */
const isSame = (cell: Cell, other: Cell): boolean =>
  (["side", "mode", "test", "rail", "from", "to"] as const).every((key) => cell[key] === other[key]);

const whatOf = ({ test, mode }: Cell): string =>
  test === "write" && mode === "alone" ? "" : `${test}${mode === "alone" ? "" : `, ${mode}`}: `;

/** With a digit more than the tables: a figure just below its gate does not look like the gate. */
const shown = (gbps: number): string => `${Number(gbps.toPrecision(5))} Gb/s`;

/** @throws {Error} for a file that is none of `railnet bench rdma --json`. */
export function readBaseline(text: string, path: string): readonly Cell[] {
  const say = (why: string) => new Error(`cannot compare with ${path}: ${why}; want what bench rdma --json wrote`);
  let results: Partial<BenchResults>;
  try {
    results = JSON.parse(text) as Partial<BenchResults>;
  } catch {
    throw say("it is not JSON");
  }
  if (results?.schema !== "railnet.io/bench-rdma/v1") throw say(`its schema is ${JSON.stringify(results?.schema)}`);
  if (!Array.isArray(results.cells)) throw say("it has no cells");
  return results.cells as readonly Cell[];
}
