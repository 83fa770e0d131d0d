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

/** Storms of ours were repeated: each figure is the median of theirs, but what never may happen is counted in all. */
export interface Measured {
  readonly single: Singles;
  readonly view: readonly Storm[];
  readonly plain: readonly Storm[];
  readonly theirs: Storm | undefined;
}

export function toRows({ single, view, plain, theirs }: Measured): Row[] {
  const compare = (name: string, unit: string, storms: readonly Storm[], read: (storm: Storm) => number, bar?: Bar) =>
    row(name, unit, median(storms.map(read)), theirs && read(theirs), bar);
  const never = (name: string, count: (storm: Storm) => number) => {
    const all = [...view, ...plain].reduce((sum, storm) => sum + count(storm), 0);
    return row(name, "ADDs", all, theirs && count(theirs), { text: "none", holds: ({ railnet }) => railnet === 0 });
  };
  const cpu = ({ cpuMs }: Storm) => cpuMs;
  return [
    row("add/1", "ms", median(single.add.railnet), median(single.add.peer), atMost(0.2)),
    row("del/1", "ms", median(single.del.railnet), median(single.del.peer), {
      text: "≤ 5 ms",
      holds: ({ railnet }) => railnet <= 5,
    }),
    compare("storm/rate", "ADDs/s", view, ({ done, wallMs }) => (done * 1000) / wallMs, {
      text: "≥ 50 x",
      holds: ({ ratio }) => (ratio ?? 0) >= 50,
    }),
    compare("storm/p50", "ms", view, ({ ms }) => quantile(ms, 0.5)),
    compare("storm/p99", "ms", view, ({ ms }) => quantile(ms, 0.99), atMost(1 / 50, "1/50 x")),
    compare("storm/api-cpu", "ms/ADD", view, cpu, atMost(1 / 30, "1/30 x")),
    compare("storm/api-cpu-no-view", "ms/ADD", plain, cpu, atMost(1 / 60, "1/60 x")),
    compare("storm/requests", "/ADD", view, ({ requests }) => requests, {
      text: "≤ 1.3",
      holds: ({ railnet }) => railnet <= 1.3,
    }),
    never("storm/failed", ({ failed }) => failed),
    never("storm/duplicates", ({ duplicates }) => duplicates),
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
