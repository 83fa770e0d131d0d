import type { Transport } from "../../cli/bench/rdma/path.ts";
import { median } from "../attach/report.ts";
import type { Failed, Measured } from "./measure.ts";

/** What is promised of every rail; absent: nothing. */
export interface Gates {
  readonly minGbps?: number;
  /** Of the host's bandwidth, in percent. */
  readonly maxPodLoss?: number;
  /** A rail that only TCP could measure meets `minGbps` by its TCP figure. Default false: it fails every gate. */
  readonly allowTcp: boolean;
}

/** One comparison; `ratio` is railnet ÷ peer: pod ÷ host, of one transport. */
export interface Row {
  readonly case: string;
  readonly railnet: number | null;
  readonly peer: number | null;
  readonly ratio: number | null;
  readonly against: "host";
  readonly unit: "Gb/s" | "µs";
  readonly transport: Transport;
  /** What is promised of the rail, and whether it was kept; in the first row of each rail. */
  readonly bar?: string;
  readonly kept?: boolean;
  /** Why the rail fails; in its first row. */
  readonly error?: string;
}

export interface RailReport {
  readonly rail: string;
  readonly host?: Measured;
  readonly pod?: Measured;
  /** In percent; absent unless both sides were measured by the same transport. */
  readonly podLoss?: number;
  /** Why the rail fails: it could not be measured, or misses a gate. */
  readonly failures: readonly string[];
  /** What a reader should know besides. */
  readonly notes: readonly string[];
}

/** A rail below this part of the others' median is named. */
const ODD_ONE_OUT = 0.9;

export function judge(results: readonly (Measured | Failed)[], gates: Gates): RailReport[] {
  const rails = [...new Set(results.map(({ rail }) => rail))];
  return rails.map((rail) => {
    const mine = results.filter((result) => result.rail === rail);
    const of = (side: Measured["side"]) =>
      mine.find((result): result is Measured => result.side === side && !("error" in result));
    const [host, pod] = [of("host"), of("pod")];
    const podLoss = host && pod && host.transport === pod.transport ? 100 * (1 - pod.gbps / host.gbps) : undefined;
    const errors = mine.flatMap((result) => ("error" in result ? [`${result.side}: ${result.error}`] : []));
    const measured = mine.filter((result): result is Measured => !("error" in result));
    return {
      rail,
      ...(host && { host }),
      ...(pod && { pod }),
      ...(podLoss !== undefined && { podLoss }),
      failures: [...errors, ...measured.flatMap((one) => missed(one, gates)), ...lossOf(podLoss, measured, gates)],
      notes: notesOf(measured, results),
    };
  });
}

function missed(one: Measured, { minGbps, maxPodLoss, allowTcp }: Gates): string[] {
  const isGated = minGbps !== undefined || maxPodLoss !== undefined;
  if (one.transport === "tcp" && isGated && !allowTcp) return [`${one.side}: no RDMA device (TCP ${gbps(one.gbps)})`];
  if (minGbps === undefined) return [];
  const slow = (what: string, value: number | undefined) =>
    value !== undefined && value < minGbps ? [`${one.side}: ${gbps(value)} < ${minGbps} Gb/s${what}`] : [];
  return [...slow(` (${one.direction})`, one.gbps), ...slow(" with all rails busy", one.atOnceGbps)];
}

function lossOf(podLoss: number | undefined, measured: readonly Measured[], { maxPodLoss }: Gates): string[] {
  if (maxPodLoss === undefined || measured.length < 2) return [];
  if (podLoss === undefined) return ["pod and host were measured by different transports: no loss to compare"];
  return podLoss > maxPodLoss ? [`pod loses ${podLoss.toFixed(1)} % > ${maxPodLoss} %`] : [];
}

function notesOf(measured: readonly Measured[], results: readonly (Measured | Failed)[]): string[] {
  return measured.flatMap((one) => {
    const alike = results.filter(
      (other): other is Measured => !("error" in other) && other.side === one.side && other.transport === one.transport,
    );
    const others = alike.filter(({ rail }) => rail !== one.rail).map((other) => other.gbps);
    const part = others.length > 0 ? one.gbps / median(others) : 1;
    const odd =
      part < ODD_ONE_OUT ? [`${one.side}: ${(part * 100).toFixed(0)} % of the other rails (${one.direction})`] : [];
    return [...(one.transport === "tcp" ? [`${one.side}: TCP, no RDMA device`] : []), ...odd];
  });
}

export function toRows(reports: readonly RailReport[], gates: Gates): Row[] {
  return reports.flatMap((report) => {
    const [first, ...rest] = [...rowsOf(report, "rdma"), ...rowsOf(report, "tcp")];
    const empty = { case: `${report.rail}/bandwidth`, railnet: null, peer: null, ratio: null };
    return [
      { ...(first ?? { ...empty, ...AGAINST, unit: "Gb/s", transport: "rdma" }), ...promise(report, gates) },
      ...rest,
    ];
  });
}

const AGAINST = { against: "host" } as const;

/** The figures of one transport; none where it was not used. */
function rowsOf({ rail, host, pod }: RailReport, transport: Transport): Row[] {
  const prefix = transport === "tcp" ? "tcp-" : "";
  const figures: [string, Row["unit"], (one: Measured) => number | undefined][] = [
    [`${prefix}bandwidth`, "Gb/s", (one) => one.gbps],
    [`${prefix}bandwidth-at-once`, "Gb/s", (one) => one.atOnceGbps],
    ["latency-typical", "µs", (one) => one.typicalUs],
    ["latency-p99", "µs", (one) => one.p99Us],
  ];
  return figures.flatMap(([name, unit, of]) => {
    const figure = (one: Measured | undefined) => (one?.transport === transport ? (of(one) ?? null) : null);
    const [railnet, peer] = [figure(pod), figure(host)];
    if (railnet === null && peer === null) return [];
    const ratio = railnet !== null && peer !== null ? round(railnet / peer) : null;
    return [
      { case: `${rail}/${name}`, railnet: rounded(railnet), peer: rounded(peer), ratio, ...AGAINST, unit, transport },
    ];
  });
}

function promise({ failures }: RailReport, { minGbps, maxPodLoss }: Gates): Pick<Row, "bar" | "kept" | "error"> {
  const parts = [
    ...(minGbps === undefined ? [] : [`≥ ${minGbps} Gb/s`]),
    ...(maxPodLoss === undefined ? [] : [`loss ≤ ${maxPodLoss} %`]),
  ];
  return {
    ...(parts.length > 0 && { bar: parts.join(", "), kept: failures.length === 0 }),
    ...(failures.length > 0 && { error: failures.join("; ") }),
  };
}

export const round = (value: number) => Number(value.toPrecision(4));
const rounded = (value: number | null) => (value === null ? null : round(value));
/** With a digit more than the table: a figure just below its gate does not look like the gate. */
const gbps = (value: number) => `${Number(value.toPrecision(5))} Gb/s`;
