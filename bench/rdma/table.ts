import { alignTable } from "../table.ts";
import type { Measured } from "./measure.ts";
import { type RailReport, round } from "./report.ts";

/** A line a rail, for people. Latency, MTU and "at once" are the pod's, where pods were measured. */
export function formatTable(reports: readonly RailReport[]): string {
  const hasPods = reports.some(({ pod }) => pod);
  const isAtOnce = reports.some(({ host, pod }) => (pod ?? host)?.atOnceGbps !== undefined);
  const head = [
    "rail",
    "host Gb/s",
    "pod Gb/s",
    "loss %",
    ...(isAtOnce ? ["at once"] : []),
    "µs typical",
    "p99",
    "MTU",
    "verdict",
  ];
  const lines = reports.map(({ rail, host, pod, podLoss, failures, notes }) => {
    const one = hasPods ? pod : host;
    const cell = (value: number | undefined) => (value === undefined ? "-" : `${round(value)}`);
    const speed = (side: Measured | undefined) => `${cell(side?.gbps)}${side?.transport === "tcp" ? " TCP" : ""}`;
    return [
      rail, speed(host), speed(pod), podLoss === undefined ? "-" : podLoss.toFixed(1),
      ...(isAtOnce ? [cell(one?.atOnceGbps)] : []),
      cell(one?.typicalUs), cell(one?.p99Us), cell(one?.mtuBytes),
      [...(failures.length > 0 ? [`FAILED ${failures.join("; ")}`] : []), ...notes].join("; ") || "ok",
    ]; // biome-ignore format: one row
  });
  return alignTable(head, lines, (column) => column > 0 && column < head.length - 1);
}
