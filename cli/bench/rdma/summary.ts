import { type Column, table } from "../../table.ts";
import { median } from "./analysis.ts";
import { nameOf } from "./page.ts";
import { type BenchResults, type Cell, type Matrix, matricesOf } from "./results.ts";

interface Line {
  readonly matrix: Matrix;
  readonly measured: readonly (Cell & { readonly gbps: number })[];
}

const figures = ({ measured }: Line): number[] => measured.map(({ gbps }) => gbps);
const shown = (value: number | undefined): string => (value === undefined ? "" : `${Number(value.toPrecision(4))}`);

const COLUMNS: readonly Column<Line>[] = [
  { title: "RAIL", of: ({ matrix }) => matrix.rail },
  { title: "SIDE", of: ({ matrix }) => matrix.side },
  { title: "TEST", of: ({ matrix }) => `${matrix.transport === "tcp" ? "TCP" : matrix.test}${matrix.mode === "alone" ? "" : `, ${matrix.mode}`}` }, // biome-ignore format: one row
  { title: "WAYS", of: ({ matrix, measured }) => `${measured.length}/${matrix.cells.length}`, isNumber: true },
  { title: "WORST", of: (line) => shown(worstOf(line)?.gbps), isNumber: true },
  { title: "MEDIAN", of: (line) => (line.measured.length > 0 ? shown(median(figures(line))) : ""), isNumber: true },
  { title: "BEST", of: (line) => (line.measured.length > 0 ? shown(Math.max(...figures(line))) : ""), isNumber: true },
  { title: "µs", of: ({ measured }) => latencyOf(measured), isNumber: true },
  { title: "MTU", of: ({ measured }) => [...new Set(measured.flatMap(({ mtuBytes }) => mtuBytes ?? []))].join(","), isNumber: true }, // biome-ignore format: one row
  { title: "WORST WAY", of: (line) => (worstOf(line) ? `${worstOf(line)!.from} → ${worstOf(line)!.to}` : "") },
];

const worstOf = ({ measured }: Line) => measured.toSorted((a, b) => a.gbps - b.gbps)[0];

function latencyOf(measured: readonly Cell[]): string {
  const known = measured.flatMap(({ typicalUs }) => typicalUs ?? []);
  return known.length > 0 ? shown(median(known)) : "";
}

/** A line for each rail, side, test and mode, in Gb/s; then what is unlike the rest, then what failed. */
export function summary({ cells, odd, failures }: BenchResults): string {
  const lines = matricesOf(cells).map((matrix) => ({
    matrix,
    measured: matrix.cells.filter((cell): cell is Cell & { gbps: number } => cell.gbps !== undefined),
  }));
  const strange = odd.map((one) => `${nameOf(one)}: ${one.percent} % (${one.side}, ${one.test}, ${one.mode})${one.causes.map((cause) => `\n    ${cause}`).join("")}`); // biome-ignore format: one row
  const failed = failures.slice(0, MOST).map(({ rail, side, from, to, why }) => `FAILED ${rail}, ${side}, ${from ?? ""} → ${to ?? ""}: ${why}`); // biome-ignore format: one row
  const more = failures.length > MOST ? [`and ${failures.length - MOST} more`] : [];
  return [table(COLUMNS, lines), ...[...strange, ...failed, ...more].map((line) => `${line}\n`)].join("");
}
const MOST = 20;
