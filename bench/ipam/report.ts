import { median } from "../attach/report.ts";
import { alignTable } from "../table.ts";
import type { Singles } from "./contestants.ts";
import { quantile, type Storm } from "./storm.ts";

/** One comparison; `ratio` is railnet ÷ peer, for every unit. */
export interface Row {
  readonly case: string;
  readonly railnet: number;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly unit: string;
  /** What is promised, and whether it was kept; absent where nothing is. */
  readonly bar?: string;
  readonly kept?: boolean;
}

export interface Measured {
  readonly single: Singles;
  readonly view: Storm;
  readonly plain: Storm;
  readonly theirs: Storm | undefined;
}

export function toRows({ single, view, plain, theirs }: Measured): Row[] {
  const rate = ({ done, wallMs }: Storm) => (done * 1000) / wallMs;
  const of = <T>(read: (storm: Storm) => T): T | undefined => theirs && read(theirs);
  return [
    row("add/1", "ms", median(single.add.railnet), median(single.add.peer), atMost(0.2)),
    row("del/1", "ms", median(single.del.railnet), median(single.del.peer), {
      text: "≤ 5 ms",
      holds: ({ railnet }) => railnet <= 5,
    }),
    row("storm/rate", "ADDs/s", rate(view), of(rate), { text: "≥ 50 x", holds: ({ ratio }) => (ratio ?? 0) >= 50 }),
    row(
      "storm/p50",
      "ms",
      quantile(view.ms, 0.5),
      of(({ ms }) => quantile(ms, 0.5)),
    ),
    row(
      "storm/p99",
      "ms",
      quantile(view.ms, 0.99),
      of(({ ms }) => quantile(ms, 0.99)),
      atMost(1 / 50, "1/50 x"),
    ),
    row(
      "storm/api-cpu",
      "ms/ADD",
      view.cpuMs,
      of(({ cpuMs }) => cpuMs),
      atMost(1 / 30, "1/30 x"),
    ),
    row(
      "storm/api-cpu-no-view",
      "ms/ADD",
      plain.cpuMs,
      of(({ cpuMs }) => cpuMs),
      atMost(1 / 60, "1/60 x"),
    ),
    row(
      "storm/requests",
      "/ADD",
      view.requests,
      of(({ requests }) => requests),
      { text: "≤ 1.3", holds: ({ railnet }) => railnet <= 1.3 },
    ),
    row(
      "storm/failed",
      "ADDs",
      view.failed + plain.failed,
      of(({ failed }) => failed),
      { text: "none", holds: ({ railnet }) => railnet === 0 },
    ),
    row(
      "storm/duplicates",
      "ADDs",
      view.duplicates + plain.duplicates,
      of(({ duplicates }) => duplicates),
      { text: "none", holds: ({ railnet }) => railnet === 0 },
    ),
  ];
}

interface Bar {
  readonly text: string;
  holds(row: Pick<Row, "railnet" | "ratio">): boolean;
}

const atMost = (limit: number, text = `${limit} x`): Bar => ({
  text: `≤ ${text}`,
  holds: ({ ratio }) => (ratio ?? Infinity) <= limit,
});

function row(name: string, unit: string, railnet: number, peer: number | undefined, bar?: Bar): Row {
  const ratio = peer ? railnet / peer : null;
  const whole = {
    case: name,
    railnet: round(railnet),
    peer: peer === undefined ? null : round(peer),
    ratio: ratio === null ? null : round(ratio),
    unit,
  };
  return { ...whole, ...(bar && { bar: bar.text, kept: bar.holds({ railnet, ratio }) }) };
}

const round = (value: number) => Number(value.toPrecision(4));

export function formatTable(rows: readonly Row[]): string {
  const head = ["case", "Railnet", "Whereabouts", "unit", "ratio", "promised", ""];
  const lines = rows.map(({ case: name, railnet, peer, unit, ratio, bar = "", kept }) => [
    name, String(railnet), peer === null ? "" : String(peer), unit, ratio === null ? "" : String(ratio), bar,
    kept === undefined ? "" : kept ? "kept" : "MISSED",
  ]); // biome-ignore format: one row
  return alignTable(head, lines, (column) => [1, 2, 4].includes(column));
}
