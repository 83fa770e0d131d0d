import { LABEL, labelValue } from "../../../ipam/whereabouts/objects.ts";
import { type KubeObject, RESERVATIONS } from "../../../kubernetes/cluster.ts";
import type { Context } from "../context.ts";
import { type FollowContext, follow } from "../follow.ts";
import { compactor, type Reserved } from "../reserved.ts";
import type { NodeHeal } from "./heal-node.ts";
import type { HealPeriod } from "./heal-period.ts";
import type { ModeWatch } from "./mode-watch.ts";
import { OwnTurns } from "./own-turns.ts";
import type { Sandboxes } from "./sandboxes.ts";

/** What a node knows of its own reservations. */
export interface OwnReservations {
  /** Fulfilled when they are first known; never if the signal comes first. */
  readonly synced: Promise<void>;
  /** False only for a claim of this node that was looked for and not found. @param reservation its name. */
  has(reservation: string): boolean;
  /** All that may be abandoned, as of before the call or later. @throws {ApiError} */
  reserved(): Promise<readonly Reserved[]>;
  /** Time between two looks: the cost of a look depends on how they are known. */
  readonly lookMs: number;
}

/** What following, or polling, requires. */
type OwnContext = FollowContext & Pick<Context, "node">;

export interface OwnOptions {
  readonly sandboxes: Sandboxes;
  readonly healing: NodeHeal;
  readonly period: HealPeriod;
  readonly modes: ModeWatch;
  readonly lookMs: number;
  /** Default 10 min. */
  readonly turnMs?: number;
  readonly signal: AbortSignal;
}

/** This node's watch is renewed by a list this often, to catch anything that a watch may miss. */
const RELIST_MS = 1_800_000;

const restored = (was: string, is: string): string =>
  `the API server was restored from a backup: its versions went back from ${was} to ${is}`;

/**
 * By a watch in a small cluster. Each event of any reservation costs the API server some microseconds for every such watch
 * (bench/ipam), so the nodes of a large one poll their claims in turns.
 */
export function ownReservations(context: OwnContext, options: OwnOptions): OwnReservations {
  const { period, modes } = options;
  modes.onRestored((was, is) => period.notice(restored(was, is)));
  return context.fleet?.isLarge ? inTurns(context, options) : watched(context, options);
}

function watched(context: OwnContext, { healing, period, lookMs, signal }: OwnOptions): OwnReservations {
  const { cluster, node } = context;
  const informer = follow<Reserved>(context, RESERVATIONS, {
    labelSelector: `${LABEL.node}=${labelValue(node)}`,
    keep: compactor() as (object: KubeObject) => Reserved,
    relistMs: RELIST_MS,
    signal,
    onChange: (change, reserved) => healing.saw(change, reserved, signal),
    onRestored: (was, is) => period.notice(restored(was, is)),
    onVerified: (is) => period.verified("reservations", is),
  });
  period.onWait(() => informer.hurry());
  return {
    synced: informer.synced,
    has: (name) => informer.objects.has(`${cluster.namespace}/${name}`),
    reserved: async () => [...informer.objects.values()],
    lookMs,
  };
}

/** The settings' watch tells when the connection was lost; then the newest claim tells whether more was lost. */
function inTurns(context: OwnContext, options: OwnOptions): OwnReservations {
  const { period, modes, healing, signal } = options;
  const turns = new OwnTurns(context, {
    ...options,
    onMissing: () => void healing.sweep((name) => turns.has(name), signal).catch(() => {}), // the next sweep does it
    onLoss: (why) => period.notice(why),
  });
  modes.onVerified((is) => {
    if (!is) return period.verified("reservations", false);
    void turns.checkNewest().finally(() => period.verified("reservations", true));
  });
  return turns;
}
