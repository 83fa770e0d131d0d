import { LEASES } from "../../../kubernetes/cluster.ts";
import type { Lease } from "../../../kubernetes/lease.ts";
import { beforeAbort } from "../../loop.ts";
import type { Context } from "../context.ts";
import { follow } from "../follow.ts";
import type { ModeWatch } from "../node/mode-watch.ts";
import { type LeaderOptions, lead } from "./leader.ts";
import { Election, LEADER_LEASE, type LeaseOptions } from "./lease.ts";
import { untilMayLead } from "./until-may-lead.ts";

export interface CandidacyOptions extends LeaderOptions, Pick<LeaseOptions, "durationMs" | "renewMs" | "jitterMs"> {
  readonly modes: ModeWatch;
  readonly signal: AbortSignal;
}

/** Leads the agents of a cluster whenever it is this one's turn, until `signal`: then the lease is released. */
export async function standForLeader(context: Context, options: CandidacyOptions): Promise<void> {
  const { cluster, node, log, counters } = context;
  const { signal, modes, durationMs } = options;
  const election = new Election({ ...options, cluster, log, identity: `${node}_${crypto.randomUUID()}` });
  let heardMs = performance.now();
  const informer = follow<Lease>(context, LEASES, {
    fieldSelector: `metadata.name=${LEADER_LEASE}`,
    signal,
    onChange(change, lease) {
      if (change !== "DELETED" && lease.spec.holderIdentity) heardMs = performance.now();
      election.saw(change === "DELETED" ? undefined : lease);
    },
  });
  if (!(await beforeAbort(informer.synced, signal))) return;
  await untilMayLead(context, {
    signal,
    leaderSilentMs: () => performance.now() - heardMs,
    ...(durationMs !== undefined && { durationMs }),
  });
  await election.run(signal, async (term) => {
    counters.terms++;
    await lead(context, modes, options, term);
  });
}
