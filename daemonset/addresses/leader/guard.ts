import { CONFIG_MAP } from "../../../ipam/mode.ts";
import { ApiError, CONFIG_MAPS, LEASES } from "../../../kubernetes/cluster.ts";
import { type Lease, WHEREABOUTS_LEASE } from "../../../kubernetes/lease.ts";
import type { Context } from "../context.ts";
import { type FollowContext, follow } from "../follow.ts";

type GuardContext = FollowContext & Pick<Context, "mode" | "events">;

/**
 * Follows Whereabouts' lease, which only a running one renews (agents that take turns with it do not touch its times): if
 * the settings say that there is none, they are corrected. What existed when the watch began proves nothing.
 */
export function guardMode(context: GuardContext, signal: AbortSignal): void {
  let before: string | undefined;
  let isFollowing = false;
  const informer = follow<Lease>(context, LEASES, {
    fieldSelector: `metadata.name=${WHEREABOUTS_LEASE}`,
    signal,
    onChange(change, { spec: { holderIdentity = "", renewTime = "" } }) {
      const isRenewed = change !== "DELETED" && isFollowing && renewTime !== before;
      before = renewTime;
      if (!isRenewed || context.mode() !== "absent") return;
      coexist(holderIdentity, context, signal).catch((err) => {
        if (!signal.aborted) context.log.warn({ err }, "cannot switch to coexist; the next renewal tries again");
      });
    },
  });
  void informer.synced.then(() => (isFollowing = true));
}

async function coexist(holder: string, { cluster, log, events }: GuardContext, signal: AbortSignal): Promise<void> {
  const path = "/data/whereabouts";
  const patch = [
    { op: "test", path, value: "absent" },
    { op: "replace", path, value: "coexist" },
  ] as const;
  try {
    await cluster.patch(CONFIG_MAPS, CONFIG_MAP, patch, { signal });
  } catch (error) {
    if (error instanceof ApiError && (error.status === 422 || error.status === 404)) return; // another was faster
    throw error;
  }
  const message =
    "a live Whereabouts renewed its lease: switched from absent to coexist; remove it before you switch back";
  log.warn({ holder }, message);
  events.onSettings("Warning", CONFIG_MAP, "WhereaboutsIsAlive", message);
}
