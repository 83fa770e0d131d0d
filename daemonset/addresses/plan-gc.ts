import type { Reserved } from "./reserved.ts";

/** A reservation that looked abandoned, and why. */
export interface GcFinding {
  readonly reserved: Reserved;
  readonly evidence: string;
  /** Nothing proves that its sandbox is over: the address goes into quarantine. */
  readonly isUnproven?: boolean;
}

/** When a reservation first looked abandoned, in this state of it. */
export interface Suspicion {
  readonly uid: string;
  readonly resourceVersion: string;
  /** By the monotonic clock. */
  readonly sinceMs: number;
}
/** By name of the reservation. */
export type Suspicions = ReadonlyMap<string, Suspicion>;

export interface GcPlan {
  readonly suspicions: Suspicions;
  /** Seen twice, unchanged, far enough apart. */
  readonly due: readonly (GcFinding & { readonly sinceMs: number })[];
}

/**
 * The second look: what was abandoned `graceMs` ago and still is, with the same UID and resourceVersion, may go. What was
 * not found this time is dropped. Pure.
 *
 * @param unseen reservations that this look skipped, or could not judge: what is known of them stays.
 */
export function planGc(
  before: Suspicions,
  findings: readonly GcFinding[],
  { nowMs, graceMs, unseen = new Set() }: { nowMs: number; graceMs: number; unseen?: ReadonlySet<string> },
): GcPlan {
  const suspicions = new Map([...before].filter(([name]) => unseen.has(name)));
  const due: (GcFinding & { sinceMs: number })[] = [];
  for (const finding of findings) {
    const { reserved } = finding;
    const { name, uid, resourceVersion } = reserved.metadata;
    const first = before.get(name);
    const isUnchanged = first?.uid === uid && first.resourceVersion === resourceVersion;
    const sinceMs = first && isUnchanged ? first.sinceMs : nowMs;
    suspicions.set(name, { uid, resourceVersion, sinceMs });
    if (isUnchanged && nowMs - sinceMs >= graceMs) due.push({ ...finding, sinceMs });
  }
  return { suspicions, due };
}
