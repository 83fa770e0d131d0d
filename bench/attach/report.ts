import { alignTable } from "../table.ts";
import type { Timing } from "./interleave.ts";

/** One comparison. Milliseconds are medians, of one attachment where several run at once. */
export interface Row {
  readonly case: string;
  readonly railnet: number;
  readonly peer: number;
  readonly ratio: number;
  /** What `peer` is. */
  readonly against: string;
  /** What is promised, and whether it was kept; absent where nothing is. */
  readonly bar?: string;
  readonly kept?: boolean;
  /** Commands that failed, on either side. */
  readonly failed: number;
}

const PEERS = { go: "host-device + static", floor: "ip -batch", true: "/bin/true", four: "four calls" } as const;
type Peer = keyof typeof PEERS;

interface Bar {
  readonly text: string;
  holds(row: Pick<Row, "railnet" | "peer" | "ratio">): boolean;
}

const ratioBar = (limit: number): Bar => ({ text: `≤ ${limit} x`, holds: ({ ratio }) => ratio <= limit });
const EIGHT_THICK: Bar = {
  text: "≤ 0.3 x, 8 in < 1 s",
  holds: ({ ratio, railnet }) => ratio <= 0.3 && railnet * 8 < 1000,
};
const SHIM_START: Bar = { text: "≤ peer + 0.4 ms", holds: ({ railnet, peer }) => railnet <= peer + 0.4 };
const FULL_START: Bar = { text: "≤ 12 ms", holds: ({ railnet }) => railnet <= 12 };

interface Comparison {
  readonly ours: string;
  readonly peer: Peer;
  /** What is promised, by place and the part of the label before the contestant; absent: nothing. */
  bar(place: string, group: string): Bar | undefined;
}

/** Start-up is promised of an idle machine, not of an emulated processor. */
const COMPARISONS: readonly Comparison[] = [
  {
    ours: "shim",
    peer: "go",
    bar: (place, group) => {
      if (group === "version") return undefined;
      if (place !== "thick") return ratioBar(0.6);
      return group === "add/8" ? EIGHT_THICK : ratioBar(0.3);
    },
  },
  { ours: "shim", peer: "floor", bar: (place) => (place === "host" ? ratioBar(1) : undefined) },
  {
    ours: "alone",
    peer: "go",
    bar: (place, group) => (place === "host" ? (group === "version" ? FULL_START : ratioBar(1.3)) : undefined),
  },
  { ours: "shim", peer: "four", bar: (_, group) => (group === "add/set" ? ratioBar(0.85) : undefined) },
  { ours: "shim", peer: "true", bar: (place) => (place === "host" ? SHIM_START : undefined) },
];

/** @param place `host`, `vm` or `thick`; rows of the VM, the main ones, have no prefix. */
export function compare(place: string, timings: readonly Timing[]): Row[] {
  const byLabel = new Map(timings.map((timing) => [timing.label, timing]));
  const groups = new Set(timings.map(({ label }) => label.slice(0, label.lastIndexOf("/"))));
  return [...groups].flatMap((group) =>
    COMPARISONS.flatMap(({ ours, peer, bar }) => {
      const [mine, theirs] = [byLabel.get(`${group}/${ours}`), byLabel.get(`${group}/${peer}`)];
      if (!mine || !theirs) return [];
      const name = `${place === "vm" ? "" : `${place}/`}${group}/${ours}${peer === "go" || peer === "four" ? "" : `-to-${peer}`}`;
      return [makeRow(name, peer, mine, theirs, bar?.(place, group))];
    }),
  );
}

function makeRow(name: string, peer: Peer, mine: Timing, theirs: Timing, bar: Bar | undefined): Row {
  const [railnet, other] = [mine, theirs].map((timing) => round(median(timing.ms) / countOf(timing.label))) as [
    number,
    number,
  ];
  const row = { case: name, railnet, peer: other, ratio: round(railnet / other), against: PEERS[peer] };
  const failed = mine.failed + theirs.failed;
  return { ...row, ...(bar && { bar: bar.text, kept: bar.holds(row) && failed === 0 }), failed };
}

const countOf = (label: string) => Number(/^\w+\/(\d+)\//.exec(label)?.[1] ?? 1);
const round = (value: number) => Math.round(value * 1000) / 1000;

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

export function formatTable(rows: readonly Row[]): string {
  const head = ["case", "railnet", "peer", "ratio", "against", "promised", ""];
  const lines = rows.map((row) => [
    row.case,
    `${row.railnet.toFixed(2)} ms`,
    `${row.peer.toFixed(2)} ms`,
    row.ratio.toFixed(2),
    row.against,
    row.bar ?? "",
    row.failed > 0 ? `${row.failed} FAILED` : row.kept === undefined ? "" : row.kept ? "kept" : "MISSED",
  ]);
  return alignTable(head, lines, (column) => column >= 1 && column <= 3);
}
