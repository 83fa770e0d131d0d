import { callOf, detach } from "./attachment/detach.ts";
import { lockAttachments, lockDevice } from "./attachment/exclusion.ts";
import { findForeign, forgetForeign } from "./attachment/foreign.ts";
import { Journal } from "./attachment/journal.ts";
import { runtimeName } from "./attachment/record.ts";
import { findStray } from "./attachment/stray.ts";
import type { Host } from "./host.ts";
import { CniError, toCniError } from "./protocol/error.ts";
import type { Call } from "./protocol/request.ts";
import { onRail, railCalls } from "./rail-calls.ts";

/**
 * DEL: restores everything from the records, whatever the configuration says today. Idempotent; needs neither namespace
 * nor PF nor API server to be healthy; addresses are released even when no record is left. Of several rails one that fails
 * does not stop the others.
 */
export async function del(call: Call, host: Host): Promise<void> {
  const failures: CniError[] = [];
  try {
    const all = callsToEnd(call, host);
    using _attachments = await lockAttachments(call, all, "DEL", host);
    for (const one of all.toReversed())
      await onRail(one, () => delOne(one, host)).catch((error) => failures.push(toCniError(error)));
  } catch (error) {
    throw asRetryable(toCniError(error));
  }
  if (failures.length > 0) throw asRetryable(merged(failures));
}

/**
 * From the configuration, and from the records: the set may have had other rails then. An interface of that name that
 * another call attached is not touched. The first rail's is the last to end ({@link Journal.isWhole}).
 */
function callsToEnd(call: Call, host: Host): readonly Call[] {
  const journal = new Journal(host.paths.stateDir);
  const named = railCalls(call).map((one) => ({ one, known: journal.find(call.containerId, one.ifname) }));
  const ours = named.filter(({ known }) => !known || runtimeName(known) === call.ifname);
  const known = ours.flatMap((one) => one.known ?? []);
  const isAll = known.length > 0 && known.length === (known[0]!.set?.rails.length ?? 1);
  const recorded = isAll ? known : journal.ofSet(call.containerId, call.ifname);
  const order = recorded[0]?.set?.rails;
  if (!order) return ours.map(({ one }) => one);
  const rest = ours.filter(({ one }) => one.set && !order.includes(one.ifname));
  const inOrder = recorded.toSorted((a, b) => order.indexOf(a.ifname) - order.indexOf(b.ifname));
  return [...inOrder.map((a) => callOf(a, "DEL", host)), ...rest.map(({ one }) => one)];
}

async function delOne(call: Call, host: Host): Promise<void> {
  const known = new Journal(host.paths.stateDir).find(call.containerId, call.ifname);
  const record = known ?? findForeign(call, host) ?? findStray(call, host);
  if (!record) return await releaseUnknown(call, host);
  using _device = await lockDevice(record.device.pci, "DEL", host);
  host.step("del-locked", call.ifname);
  await detach(record, host);
  if (!known) forgetForeign(call, record.device.pci, host);
}

function merged([first, ...others]: readonly CniError[]): CniError {
  if (others.length === 0) return first!;
  return new CniError(first!.code, [first!, ...others].map(({ message }) => message).join("; "), { cause: first });
}

async function releaseUnknown(call: Call, host: Host): Promise<void> {
  const type = call.config.ipam?.type;
  if (type && host.ipam.canRelease(type, call)) await host.ipam.ask("DEL", type, call);
}

/**
 * containerd takes a DEL error that says "not found" for success, and Multus one that says "no such file or directory":
 * the remaining work would never be tried again.
 */
function asRetryable(error: CniError): CniError {
  const message = error.message.replace(/no such file or directory/gi, "missing").replace(/not found/gi, "missing");
  return message === error.message ? error : new CniError(error.code, message, { cause: error });
}
