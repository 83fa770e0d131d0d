import { setImmediate as nextTurn } from "node:timers/promises";
import { type Debt, Debts } from "../../cni/attachment/debts.ts";
import { detach } from "../../cni/attachment/detach.ts";
import { lockDevice, sweepLocks, tryLockAttachment, tryLockDevice } from "../../cni/attachment/exclusion.ts";
import { isInPod } from "../../cni/attachment/find-link.ts";
import { linkAtHome } from "../../cni/attachment/home.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import { openOwnNetns } from "../../cni/attachment/own-netns.ts";
import { isRdmaAstray } from "../../cni/attachment/rdma.ts";
import { reattach, reattachRdma } from "../../cni/attachment/reattach.ts";
import type { Attachment } from "../../cni/attachment/record.ts";
import { giveBack, settle } from "../../cni/attachment/settle.ts";
import { retell } from "../../cni/attachment/told/retell.ts";
import type { Host } from "../../cni/host.ts";
import type { Torn } from "../../records/record-files.ts";
import { lookAtHome } from "./at-home.ts";
import { type AttachmentFacts, plan, REASONS, type ReconcileAction, type Repair } from "./plan.ts";
import { isPfWithin, isVfWithin, type Scope } from "./scope.ts";

/**
 * Observe, plan, apply: ends every attachment that is half done, orphaned or left over. Takes no lock that is held and
 * never throws for a single attachment: a failure is retried by the next run.
 *
 * @param scope whose VFs; all by default.
 */
export async function reconcile(host: Host, scope: Scope = { except: [] }): Promise<Repair[]> {
  const journal = new Journal(host.paths.stateDir);
  const repairs: Repair[] = [];
  const onTorn = (torn: Torn) => host.log.warn(torn, "record set aside: it is incomplete");
  const isOurs = isVfWithin(scope, host.paths.sysfs);
  for (const attachment of journal.sweep(onTorn, isOurs)) {
    repairs.push(...(await repair(attachment, host, journal).catch(notNow(attachment.device.pci, host))));
    await nextTurn(); // a thousand records must not keep requests waiting
  }
  for (const debt of new Debts(host.paths.stateDir).sweep(onTorn, isOurs)) {
    repairs.push(...(await settleOne(debt, host).catch(notNow(debt.device.pci, host))));
    await nextTurn();
  }
  await lookAtHome(host, isPfWithin(scope), async (stray) => void repairs.push(await bringBack(stray, host)));
  if ("except" in scope) sweepLocks(host);
  return repairs;
}

/** What cannot even be examined keeps nothing else from being repaired. */
const notNow =
  (pci: string, host: Host) =>
  (err: unknown): [] => {
    host.log.warn({ pci, err }, "cannot inspect an attachment; retrying");
    return [];
  };

/** Restores a VF without a record from root's own note. */
const bringBack = (stray: Attachment, host: Host): Promise<Repair> =>
  attempt({ kind: "detach", attachment: stray, reason: "stray" }, host, async () => {
    await giveBack(stray, host);
    return "";
  });

/** @returns nothing while a debt is unchanged: it was reported when it arose. */
async function settleOne(debt: Debt, host: Host): Promise<Repair[]> {
  const { pci } = debt.device;
  using device = tryLockDevice(pci, host);
  const settlement = device && (await settle(pci, host));
  if (settlement?.is !== "settled") return [];
  return [await attempt({ kind: "detach", attachment: debt, reason: "owed" }, host, async () => "")];
}

async function repair(seen: Attachment, host: Host, journal: Journal): Promise<Repair[]> {
  using lock = tryLockAttachment(seen, host);
  if (!lock) return [];
  const attachment = journal.reread(seen);
  if (!attachment) return []; // its DEL came first
  const repairs: Repair[] = [];
  const actions = plan([observe(attachment, host, journal)]);
  for (const action of actions) repairs.push(await apply(action, host));
  const changed = actions.length === 0 ? await retell(attachment, host) : "";
  if (changed)
    repairs.push(await attempt({ kind: "retell", attachment, reason: "gidMoved" }, host, async () => changed));
  return repairs;
}

function observe(attachment: Attachment, host: Host, journal: Journal): AttachmentFacts {
  const isThisBoot = attachment.bootId === host.bootId;
  using netns = openOwnNetns(attachment, host);
  const hasNetns = netns !== undefined;
  const hasLink = netns !== undefined && isInPod(attachment, netns, host);
  const isAtHome = hasNetns && !hasLink && linkAtHome(attachment.device.pci, host) !== undefined;
  const isRdmaAtHome = hasLink && isRdmaAstray(attachment, host);
  const isWhole = journal.isWhole(attachment);
  return { attachment, isThisBoot, isWhole, hasNetns, hasLink, isAtHome, isRdmaAtHome };
}

async function apply(action: ReconcileAction, host: Host): Promise<Repair> {
  const { attachment, kind, reason } = action;
  return attempt(action, host, async () => {
    if (kind === "report") return "";
    using _device = await lockDevice(attachment.device.pci, "ADD", host);
    if (kind !== "detach") return await (reason === "rdmaRemade" ? reattachRdma : reattach)(attachment, host);
    await detach(attachment, host);
    return "";
  });
}

const DONE = {
  detach: "attachment ended",
  reattach: "a pod got its VF back",
  retell: "a pod's RDMA device changed",
  report: "attachment is not as ADD left it",
} as const satisfies Record<ReconcileAction["kind"], string>;

/** @param act returns what is still lacking, if anything. */
async function attempt(
  { kind, attachment, reason }: ReconcileAction,
  host: Host,
  act: () => Promise<string>,
): Promise<Repair> {
  const { containerId: containerID, ifname, device, pod } = attachment;
  const who = { containerID, ifname, pci: device.pci, ...(pod && { pod }) };
  const repair = { kind, ...who, reason, why: REASONS[reason] };
  try {
    const but = await act();
    if (!but) host.log.info(repair, DONE[kind]);
    else host.log.warn({ ...repair, but }, DONE[kind]);
    return { ...repair, ...(but && { but }) };
  } catch (error) {
    host.log.warn({ ...repair, err: error }, "cannot repair an attachment; retrying");
    return { ...repair, error: String(error) };
  }
}
