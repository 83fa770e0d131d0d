import { beforeAbort, repeat } from "../../loop.ts";
import type { Context } from "../context.ts";
import { NodeGc } from "./gc-node.ts";
import { NodeHeal } from "./heal-node.ts";
import type { HealPeriod } from "./heal-period.ts";
import type { ModeWatch } from "./mode-watch.ts";
import { ownReservations } from "./own-reservations.ts";
import { NodeRecords } from "./records-node.ts";
import type { Sandboxes } from "./sandboxes.ts";

export interface NodeWorkOptions {
  readonly modes: ModeWatch;
  readonly period: HealPeriod;
  readonly sandboxes: Sandboxes;
  /** Minimum time between two looks that find the same thing abandoned. Default 60 s. */
  readonly graceMs?: number;
  /** Between two looks. Default 60 s. */
  readonly lookMs?: number;
  /** Between two checks whether the pools have the records of this node's claims, where these are part of them. Default 10 min. */
  readonly recordsMs?: number;
  /** For this node's own claims, where they are not watched. Default 10 min. */
  readonly turnMs?: number;
  /** Called once it is known whether this node's reservations are all there. */
  onLooked(): void;
  /** Tells the others that this node has done its part of a heal period. @throws {ApiError} */
  onPutBack(period: string): Promise<void>;
  readonly signal: AbortSignal;
}

/**
 * A node's part until `signal`: frees what its dead sandboxes left, restores what its running ones lost. A node with reservations
 * that its journal does not know (Whereabouts' pods after a takeover) lists its pods once a minute.
 */
export async function lookAfterNode(context: Context, options: NodeWorkOptions): Promise<void> {
  const { log, node, mode } = context;
  const { signal, modes, period, sandboxes, graceMs = 60_000, lookMs = 60_000, recordsMs = 600_000 } = options;
  const gc = new NodeGc(context, sandboxes, graceMs);
  const healing = new NodeHeal(context, sandboxes, (why) => period.notice(why));
  const unreserved = new NodeRecords(context, sandboxes, graceMs);
  await Promise.resolve(context.fleet?.known);
  const own = ownReservations(context, { ...options, healing, lookMs });
  const has = (name: string) => own.has(name);
  if (!(await beforeAbort(own.synced, signal))) return;
  if (await healing.misses(has)) period.notice(`reservations of ${node} are gone that its sandboxes still use`);
  options.onLooked();
  const putBack = async (why: string) => {
    if ((await healing.putAllBack(signal)) && period.agreed === why) await options.onPutBack(why);
  };
  const onBegin = (why: string) =>
    void putBack(why).catch((err) => log.warn({ err }, "cannot report that this node's reservations are restored"));
  period.onBegin(onBegin);
  if (period.agreed) onBegin(period.agreed);
  if (!(await beforeAbort(modes.synced, signal))) return;
  const time = { everyMs: lookMs, signal, log };
  const byRecords = { ...time, everyMs: recordsMs };
  await Promise.all([
    repeat("node heal", time, () => healing.sweep(has, signal)),
    repeat("node gc", { ...time, everyMs: own.lookMs }, async () => gc.look(await own.reserved(), signal)),
    repeat("node gc of records", time, () => unreserved.collect(signal)),
    repeat("node heal of records", byRecords, () => unreserved.heal(signal)),
    repeat("node records", byRecords, async () => {
      if (mode() === "coexist") await healing.sweepRecords(signal);
    }),
  ]);
}
