import { REPORT_MS } from "./report.ts";

/** Time reserved for the fence to act, even if PFs are busy: a sixth of the leader's patience. */
const MARGIN = 1 / 6;

/** What decides about an attachment. */
export interface Fenceable {
  /** Its addresses are the cluster's, so another node may get them. */
  readonly isOfCluster: boolean;
  readonly isFenced: boolean;
}

export interface FencePlan<T> {
  /** To be taken down: including those on record as down, since that may have failed, or been undone by their pods. */
  readonly fence: readonly T[];
  /** To be brought back, each once its addresses are known to be its own. */
  readonly lift: readonly T[];
}

/** After this long without being heard a node takes its VFs down: before the leader gives it up. */
export const fenceAfterMs = (patienceMs: number): number => patienceMs * (1 - MARGIN);

/** A report that is this late is tried again at every look. */
export const isLate = (silentMs: number, patienceMs: number): boolean =>
  silentMs > Math.min(REPORT_MS * 1.2, fenceAfterMs(patienceMs) / 2);

export interface Circumstances {
  readonly isOn: boolean;
  /** For how long nobody has heard from this node. */
  readonly silentMs: number;
  /** The leader's. */
  readonly patienceMs: number;
}

export const isLapsed = ({ isOn, silentMs, patienceMs }: Circumstances): boolean =>
  isOn && silentMs >= fenceAfterMs(patienceMs);

/** What to do with a node's attachments. With the fence switched off, what is down comes back. Pure. */
export function planFence<T extends Fenceable>(all: readonly T[], now: Circumstances): FencePlan<T> {
  if (isLapsed(now)) return { fence: all.filter((one) => one.isOfCluster), lift: [] };
  return { fence: [], lift: all.filter((one) => one.isFenced) };
}
