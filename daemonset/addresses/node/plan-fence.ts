import { REPORT_MS } from "./report.ts";

/** What the fence needs to be done in time, PFs that are busy included: a sixth of the leader's patience. */
const MARGIN = 1 / 6;

/** Of an attachment, what decides. */
export interface Fenceable {
  /** Its addresses are the cluster's, so that another node may get them. */
  readonly isOfCluster: boolean;
  readonly isFenced: boolean;
}

export interface FencePlan<T> {
  /** To be down: also those that are on record as such, since it may not be done, or be undone by their pods. */
  readonly fence: readonly T[];
  /** To come back, each once its addresses are known to be its own. */
  readonly lift: readonly T[];
}

/** After so long without being heard of a node takes its VFs down: before the leader takes it for gone. */
export const fenceAfterMs = (patienceMs: number): number => patienceMs * (1 - MARGIN);

/** A report that is so late is tried again at every look. */
export const isLate = (silentMs: number, patienceMs: number): boolean =>
  silentMs > Math.min(REPORT_MS * 1.2, fenceAfterMs(patienceMs) / 2);

export interface Circumstances {
  readonly isOn: boolean;
  /** For how long nobody has heard of this node. */
  readonly silentMs: number;
  /** Of the leader. */
  readonly patienceMs: number;
}

export const isLapsed = ({ isOn, silentMs, patienceMs }: Circumstances): boolean =>
  isOn && silentMs >= fenceAfterMs(patienceMs);

/** What is to be done about a node's attachments. With the fence switched off what is down comes back. Pure. */
export function planFence<T extends Fenceable>(all: readonly T[], now: Circumstances): FencePlan<T> {
  if (isLapsed(now)) return { fence: all.filter((one) => one.isOfCluster), lift: [] };
  return { fence: [], lift: all.filter((one) => one.isFenced) };
}
