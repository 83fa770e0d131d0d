import type { Log, Paths } from "../../cni/host.ts";
import type { Cluster } from "../../kubernetes/cluster.ts";
import { beforeAbort } from "../loop.ts";
import type { Note } from "../notes.ts";
import type { CarryOut } from "../rails/orders.ts";
import type { Rails } from "../rails/start.ts";
import { Observer } from "./observer.ts";
import { Pace } from "./pace.ts";
import { Reporter } from "./reporter.ts";

export interface ReportingOptions {
  /** Fulfilled when this node has reached a cluster; never on a single host. */
  readonly cluster: Promise<Cluster>;
  readonly node: string;
  readonly rails: Pick<Rails, "seen" | "looked">;
  readonly paths: Paths;
  readonly carryOut: CarryOut;
  readonly repairs: () => readonly Note[];
  /** Whether most nodes that have a rail are reached by it; undefined where that is not known, or no matter. */
  readonly isReaching: (rail: string) => boolean | undefined;
  /** A change is in the RailNode after at most this time, and two writes are at least this far apart; 0: no RailNode is written. */
  readonly seconds: number;
  readonly log: Log;
}

/** Some dozen small files are read per look. */
const LOOK_MS = 10_000;

/** Keeps this node's RailNode until `signal`. Never rejects. */
export async function keepReporting(options: ReportingOptions, signal: AbortSignal): Promise<void> {
  const { cluster: reached, rails, seconds, node, log } = options;
  if (seconds === 0) return;
  const isReached = await beforeAbort(Promise.all([reached, rails.looked]), signal);
  if (!isReached) return;
  const nowMs = () => performance.now();
  const observer = new Observer({ ...options, rails: rails.seen, nowMs });
  const pace = new Pace({ spreadMs: seconds * 1000, random: Math.random });
  const lookMs = Math.min(LOOK_MS, seconds * 1000);
  await new Reporter({ cluster: await reached, node, observer, pace, log, nowMs, lookMs }).run(signal);
}
