import { pause } from "../../loop.ts";
import type { Context } from "../context.ts";
import { mayLead } from "./may-lead.ts";

/** How often a node that may not lead asks whether it may now, in looks. */
const ASK_LOOKS = 30;

/** In `refusals`. */
const NOBODY = "leader";

/** Names the fix: roles of an older version have no right to lead. */
export const NOBODY_LEADS =
  "no agent leads, so addresses of removed nodes are not freed and pools are not written: the rule `leaders` allows no node, or " +
  "none that it allows has an agent; kubectl apply -f manifests/rbac.yaml";

export interface UntilMayLeadOptions {
  readonly signal: AbortSignal;
  /** How long no leader has been heard of. */
  leaderSilentMs(): number;
  /** Length of a term without a renewal. Default 3 min; after twice as long nobody leads. */
  readonly durationMs?: number;
}

/** Waits until this node may lead. While nobody leads, `refusals` says so. */
export async function untilMayLead(
  context: Pick<Context, "cluster" | "node" | "log" | "refusals">,
  options: UntilMayLeadOptions,
): Promise<void> {
  const { cluster, node, log, refusals } = context;
  const { signal, leaderSilentMs, durationMs = 180_000 } = options;
  for (let looks = 0; !signal.aborted; looks++) {
    if (looks % ASK_LOOKS === 0 && (await mayLead(cluster, node, signal))) break;
    if (looks === 0)
      log.info({ node }, "this node's agent may not lead: see the rule `leaders` in manifests/rbac.yaml");
    if (leaderSilentMs() < 2 * durationMs) refusals?.over(NOBODY);
    else if (refusals?.say(NOBODY, NOBODY_LEADS)) log.warn({ node }, NOBODY_LEADS);
    await pause(durationMs / 3, signal);
  }
  refusals?.over(NOBODY);
}
