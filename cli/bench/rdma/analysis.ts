import { type Cell, type Matrix, matricesOf, type OddOne } from "./results.ts";

/** A cell below this part of what the sound ones reach is odd. */
const ODD = 0.9;
/** So much of a row or column must be odd for its node to be named. */
const MOST = 0.6;

type Found = Omit<OddOne, "causes">;

/**
 * What is not like the rest. A row of a rail's matrix says that a node sends slowly, a column that it receives slowly,
 * both that its NIC or its cable is slow; a single cell that the way between two nodes is; a whole matrix the rail. A
 * node that is slow on all its rails is named once. Between two nodes there is no third to tell which it is.
 */
export function oddOnes(cells: readonly Cell[]): Found[] {
  const groups = Map.groupBy(matricesOf(cells), ({ side, mode, test, transport }) => [side, mode, test, transport].join(" ")); // biome-ignore format: one row
  return [...groups.values()].flatMap((rails) => mergeNodes(oddRails(rails), rails.length));
}

function oddRails(rails: readonly Matrix[]): Found[] {
  const references = rails.map(({ cells }) => referenceOf(cells.map(figure)));
  const best = Math.max(...references);
  return rails.flatMap((matrix, i) => {
    const isSlow = rails.length > 1 && references[i]! < ODD * best;
    const rail: Found[] = isSlow ? [{ ...nameOf(matrix), kind: "rail", rail: matrix.rail, ends: [], direction: "both", percent: percentOf(references[i]!, best) }] : []; // biome-ignore format: one row
    return [...rail, ...(references[i]! > 0 ? oddCells(matrix, references[i]!) : [])];
  });
}

const nameOf = ({ side, mode, test }: Matrix) => ({ side, mode, test });
const figure = ({ gbps = 0 }: Cell): number => gbps;
const percentOf = (value: number, reference: number): number => Math.round((100 * value) / reference);

/** What sound cells reach: of ten the best; of fewer the best one. One node of three spoils four cells of six. */
function referenceOf(figures: readonly number[]): number {
  const sorted = figures.toSorted((a, b) => a - b);
  return sorted[Math.ceil(0.9 * sorted.length) - 1] ?? 0;
}

interface Line {
  readonly end: string;
  readonly direction: "sends" | "receives";
  readonly cells: readonly Cell[];
}

/** Takes the row or column that explains the most odd cells, then the next one; what is left is between two nodes. */
function oddCells(matrix: Matrix, reference: number): Found[] {
  const isOdd = (cell: Cell) => figure(cell) < ODD * reference;
  const open = new Set(matrix.cells.filter(isOdd));
  const lines = linesOf(matrix.cells);
  const named: Line[] = [];
  for (;;) {
    const best = lines
      .map((line) => ({ line, odd: line.cells.filter((cell) => open.has(cell)) }))
      .filter(({ line, odd }) => odd.length > 1 && line.cells.filter(isOdd).length >= MOST * line.cells.length)
      .toSorted((a, b) => b.odd.length - a.odd.length || b.odd.length / b.line.cells.length - a.odd.length / a.line.cells.length)[0]; // biome-ignore format: one row
    if (!best) break;
    named.push(best.line);
    for (const cell of best.odd) open.delete(cell);
  }
  return [...nodesOf(matrix, named, reference), ...pathsOf(matrix, [...open], reference)];
}

function linesOf(cells: readonly Cell[]): Line[] {
  const by = (direction: Line["direction"], of: (cell: Cell) => string): Line[] =>
    [...Map.groupBy(cells, of)].map(([end, line]) => ({ end, direction, cells: line }));
  return [...by("sends", ({ from }) => from), ...by("receives", ({ to }) => to)];
}

function nodesOf(matrix: Matrix, named: readonly Line[], reference: number): Found[] {
  return [...Map.groupBy(named, ({ end }) => end)].map(([end, lines]) => ({
    ...nameOf(matrix),
    kind: "node-rail",
    rail: matrix.rail,
    ends: [end],
    direction: lines.length > 1 ? "both" : lines[0]!.direction,
    percent: percentOf(median(lines.flatMap(({ cells }) => cells.map(figure))), reference),
  }));
}

function pathsOf(matrix: Matrix, cells: readonly Cell[], reference: number): Found[] {
  const ways = Map.groupBy(cells, ({ from, to }) => [from, to].sort().join("\0"));
  return [...ways.values()].map((way) => ({
    ...nameOf(matrix),
    kind: "path",
    rail: matrix.rail,
    ends: [way[0]!.from, way[0]!.to],
    direction: way.length > 1 ? "both" : "sends",
    percent: percentOf(Math.min(...way.map(figure)), reference),
  }));
}

/** What a node has on every rail is the node's. */
function mergeNodes(found: readonly Found[], rails: number): Found[] {
  const nodes = Map.groupBy(
    found.filter(({ kind }) => kind === "node-rail"),
    ({ ends, direction }) => `${ends[0]} ${direction}`,
  );
  const whole = [...nodes.values()].filter((all) => rails > 1 && all.length === rails);
  const merged = new Set(whole.flat());
  const asNodes = whole.map(([first, ...others]): Found => {
    const { rail: _, ...rest } = first!;
    return { ...rest, kind: "node", percent: median([first!, ...others].map(({ percent }) => percent)) };
  });
  return [...asNodes, ...found.filter((one) => !merged.has(one))];
}

/** The lower one of the two in the middle. */
export function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[(values.length - 1) >> 1] ?? 0;
}
