import { median } from "./analysis.ts";
import type { BenchEnd, Cell, EndRail, OddOne } from "./results.ts";

/** What of an end on a rail can be the cause of what was measured there, and what to say of it. */
const FACTS: readonly (readonly [what: string, of: (rail: EndRail) => string | number | undefined])[] = [
  ["port state", ({ portState }) => portState],
  ["link MTU", ({ linkMtu }) => linkMtu],
  ["speed (Mb/s)", ({ speed }) => speed],
  ["PCIe", ({ pcie }) => pcie],
  ["firmware", ({ firmware }) => firmware],
  ["GID index", ({ gidIndex }) => gidIndex],
];

/** A counter that grew so much more than at most ends is named. */
const GROWN = 10;

/** Likely causes of what is odd: in what its ends are unlike the others on that rail, and what they said. */
export function causesOf(odd: Omit<OddOne, "causes">, ends: readonly BenchEnd[], cells: readonly Cell[]): string[] {
  const rails = odd.rail ? [odd.rail] : Object.keys(ends[0]?.rails ?? {});
  const facts = rails.flatMap((rail) => odd.ends.flatMap((name) => unlike(name, rail, odd.ends, ends)));
  return [...new Set([...facts, ...mtuCause(odd, cells), ...errors(odd, cells)])];
}

function unlike(name: string, rail: string, ends: readonly string[], all: readonly BenchEnd[]): string[] {
  const mine = all.find((end) => end.name === name)?.rails[rail];
  const others = all.flatMap((end) => (!ends.includes(end.name) && end.rails[rail] ? [end.rails[rail]] : []));
  if (!mine || others.length === 0) return [];
  const facts = FACTS.flatMap(([what, of]) => {
    const [value, usual] = [of(mine), mostCommon(others.map(of))];
    return value !== undefined && usual !== undefined && value !== usual
      ? [`${name}, ${rail}: ${what} is ${value}, elsewhere ${usual}`]
      : [];
  });
  const counters = Object.entries(mine.grown ?? {}).flatMap(([counter, by]) => {
    const usual = median(others.map(({ grown }) => grown?.[counter] ?? 0));
    return by > GROWN * (usual + 1) ? [`${name}, ${rail}: ${counter} grew by ${by}, elsewhere by ${usual}`] : [];
  });
  return [...facts, ...counters];
}

function mostCommon<T>(values: readonly (T | undefined)[]): T | undefined {
  const known = values.filter((value) => value !== undefined);
  return [...Map.groupBy(known, (value) => value).values()].toSorted((a, b) => b.length - a.length)[0]?.[0];
}

const isOf = (odd: Omit<OddOne, "causes">, cell: Cell): boolean =>
  cell.side === odd.side &&
  cell.mode === odd.mode &&
  cell.test === odd.test &&
  (!odd.rail || cell.rail === odd.rail) &&
  odd.ends.some((end) => end === cell.from || end === cell.to) &&
  (odd.kind !== "path" || (odd.ends.includes(cell.from) && odd.ends.includes(cell.to)));

/** Both ends of a queue pair take the smaller MTU. */
function mtuCause(odd: Omit<OddOne, "causes">, cells: readonly Cell[]): string[] {
  const mine = mostCommon(cells.filter((cell) => isOf(odd, cell)).map(({ mtuBytes }) => mtuBytes));
  const usual = mostCommon(cells.filter((cell) => !isOf(odd, cell)).map(({ mtuBytes }) => mtuBytes));
  if (!mine || !usual || mine >= usual) return [];
  return [
    `RoCE MTU is ${mine}, elsewhere ${usual}: a link MTU below ${mine === 1024 ? 2200 : 4200} at one of the ends`,
  ];
}

/** At most three, each once. */
const errors = (odd: Omit<OddOne, "causes">, cells: readonly Cell[]): string[] =>
  [...new Set(cells.flatMap((cell) => (cell.error && isOf(odd, cell) ? [cell.error] : [])))].slice(0, 3);
