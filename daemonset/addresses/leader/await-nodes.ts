import { pause } from "../../loop.ts";
import type { Context } from "../context.ts";
import type { HealPeriod } from "../node/heal-period.ts";
import { type Report, readReports } from "../node/report.ts";
import { patienceMs } from "./gone-nodes.ts";

/** How many looks at the reports there are in a period. */
const LOOKS = 6;

export interface AwaitOptions {
  readonly period: HealPeriod;
  /** The leader's: see {@link patienceMs}. */
  readonly graceMs: number;
  readonly signal: AbortSignal;
}

/**
 * As the leader: keeps a heal period open until each node heard from recently has reported that it has restored what it
 * holds. A node is waited for no longer than the leader's patience: after that its addresses may be given out, like those
 * of every node that is silent for that long, and its fence, if it has one, has taken its VFs down.
 */
export function awaitNodes(context: Pick<Context, "cluster" | "log">, options: AwaitOptions): void {
  const { period, signal } = options;
  const wait = () => void waitOnce(context, options);
  signal.addEventListener("abort", period.onBegin(wait), { once: true });
  wait();
}

async function waitOnce(
  context: Pick<Context, "cluster" | "log">,
  { period, graceMs, signal }: AwaitOptions,
): Promise<void> {
  const { cluster, log } = context;
  const [which, beganMs, patience] = [period.agreed, performance.now(), patienceMs(graceMs)];
  let living: ReadonlySet<string> | undefined;
  while (!signal.aborted && which && period.agreed === which && performance.now() - beganMs < patience) {
    try {
      const reports = await readReports(cluster, signal);
      living ??= new Set(reports.filter((one) => isRecent(one, patience)).map(({ node }) => node));
      const late = reports.filter(({ node, putBack }) => living!.has(node) && putBack !== which);
      if (late.length === 0) return;
      await period.prolong(signal);
      log.info(
        { nodes: late.length, node: late[0]!.node },
        "waiting for nodes to restore their reservations: no claims until then",
      );
    } catch (err) {
      if (!signal.aborted) log.debug({ err }, "cannot tell which nodes have restored their reservations");
    }
    await pause(period.healMs / LOOKS, signal);
  }
}

/** By clocks that may differ by some minutes: in doubt it counts as recent. */
const isRecent = ({ renewed }: Report, patience: number): boolean => !(Date.now() - Date.parse(renewed) > 2 * patience);
