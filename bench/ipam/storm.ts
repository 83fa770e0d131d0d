import { setTimeout as sleep } from "node:timers/promises";
import { type Requests, requestsBetween, total } from "../../lab/cluster/requests.ts";
import { useOf } from "../../lab/netns/process-use.ts";
import type { Place } from "./place.ts";

/** One ADD or DEL: true when it gave what it should. */
type Call = (i: number) => Promise<{ readonly ok: boolean; readonly ip?: string }>;

export interface Storm {
  readonly done: number;
  readonly failed: number;
  readonly duplicates: number;
  readonly wallMs: number;
  /** Of the calls that succeeded, ascending. */
  readonly ms: readonly number[];
  /** Requests to Whereabouts' objects and leases, and processor time of the API server, for each call. */
  readonly requests: number;
  readonly cpuMs: number;
  readonly counts: Requests;
}

const OBJECTS = /ippools|overlapping|leases|nodeslice|configmaps/;

/** `total` calls, `atOnce` of them in flight. @param settled waited for before the server's counters are read. */
export async function storm(
  place: Place,
  count: number,
  atOnce: number,
  call: Call,
  settled: () => Promise<boolean> = async () => true,
): Promise<Storm> {
  const before = await place.api.requests();
  const cpuBefore = useOf(place.api.pids.server).cpuSeconds; // to be asked for counts costs the server 30 ms
  const [begin, ms, ips] = [performance.now(), [] as number[], new Set<string>()];
  let [next, failed, duplicates] = [0, 0, 0];
  const work = async () => {
    while (next < count) {
      const at = performance.now();
      const { ok, ip } = await call(next++);
      if (ok) ms.push(performance.now() - at);
      else failed++;
      if (ip && ips.has(ip)) duplicates++;
      if (ip) ips.add(ip);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
  const wallMs = performance.now() - begin;
  while (!(await settled())) await sleep(1000);
  const cpuSeconds = useOf(place.api.pids.server).cpuSeconds - cpuBefore;
  const counts = requestsBetween(before, await place.api.requests(), OBJECTS);
  return {
    done: ms.length,
    failed,
    duplicates,
    wallMs,
    ms: ms.sort((a, b) => a - b),
    requests: total(counts) / Math.max(1, ms.length),
    cpuMs: (cpuSeconds * 1000) / Math.max(1, ms.length),
    counts,
  };
}

/** @param share 0.5 is the median. @param sorted ascending. */
export const quantile = (sorted: readonly number[], share: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? Number.NaN;
