import { median } from "../attach/report.ts";
import { alignTable } from "../table.ts";
import type { Contestant } from "./contestants.ts";
import type { Run } from "./measure.ts";

/** One comparison; `railnet` and `peer` are medians of the rounds, `ratio` is railnet ÷ peer. */
export interface Row {
  readonly case: string;
  readonly railnet: number;
  readonly peer: number;
  readonly ratio: number | null;
  readonly unit: string;
  /** What `peer` is. */
  readonly against: string;
  /** What is promised, and whether it was kept; absent where nothing is. */
  readonly bar?: string;
  readonly kept?: boolean;
}

export interface Measured {
  readonly single: readonly Run[];
  readonly burst: readonly Run[];
}

const AGAINST = "host-device + Whereabouts 0.9.4";

type Read = (run: Run) => number;
const timesOf = ({ calls }: Run, verb: string) => calls.filter((call) => call.verb === verb).map(({ ms }) => ms);
const sum =
  (verb: string): Read =>
  (run) =>
    timesOf(run, verb).reduce((all, ms) => all + ms, 0);
const adds =
  (of: (ms: readonly number[]) => number): Read =>
  (run) =>
    of(timesOf(run, "ADD"));
const failed: Read = ({ calls }) => calls.filter(({ exit }) => exit !== 0).length;

/** A sum has every call in it, those that failed and were made again, too. */
export function toRows({ single, burst }: Measured): Row[] {
  return [...rows("pod", single, 0.3), ...rows("burst", burst, 0.2)];
}

function rows(name: string, runs: readonly Run[], bar: number): Row[] {
  if (runs.length === 0) return [];
  const { pods } = runs[0]!;
  const row = (what: string, read: Read, more: Partial<Row> = {}) => makeRow(`${name}/${what}`, runs, read, more);
  const promised = row("add-sum", sum("ADD"));
  const lost = runs.filter(({ who }) => who === "railnet").reduce((all, run) => all + failed(run), 0);
  return [
    { ...promised, bar: `≤ ${bar} x`, kept: promised.ratio !== null && promised.ratio <= bar },
    ...(pods > 1
      ? [
          row("add-median", adds(median)),
          row(
            "add-max",
            adds((ms) => Math.max(...ms)),
          ),
        ]
      : []),
    row("del-sum", sum("DEL")),
    row("running", ({ runningMs }) => runningMs),
    { ...totals(`${name}/failed`, runs), bar: "none", kept: lost === 0 },
  ];
}

function makeRow(name: string, runs: readonly Run[], read: Read, more: Partial<Row>): Row {
  const of = (who: Contestant) => round(median(runs.filter((run) => run.who === who).map(read)));
  const [railnet, peer] = [of("railnet"), of("peer")];
  return { case: name, railnet, peer, ratio: round(railnet / peer), unit: "ms", against: AGAINST, ...more };
}

/** Calls that failed, of all rounds. */
function totals(name: string, runs: readonly Run[]): Row {
  const of = (wanted: Contestant) => runs.reduce((all, run) => all + (run.who === wanted ? failed(run) : 0), 0);
  return { case: name, railnet: of("railnet"), peer: of("peer"), ratio: null, unit: "calls", against: AGAINST };
}

const round = (value: number) => Number(value.toPrecision(4));

export function formatTable(all: readonly Row[]): string {
  const head = ["case", "Railnet", "peer", "unit", "ratio", "promised", ""];
  const lines = all.map(({ case: name, railnet, peer, unit, ratio, bar = "", kept }) => [
    name, String(railnet), String(peer), unit, ratio === null ? "" : String(ratio), bar,
    kept === undefined ? "" : kept ? "kept" : "MISSED",
  ]); // biome-ignore format: one row
  return alignTable(head, lines, (column) => [1, 2, 4].includes(column));
}
