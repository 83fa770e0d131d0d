import { detach } from "./attachment/detach.ts";
import { lockAttachment, lockDevice } from "./attachment/exclusion.ts";
import { findForeign, forgetForeign } from "./attachment/foreign.ts";
import { Journal } from "./attachment/journal.ts";
import { findStray } from "./attachment/stray.ts";
import type { Host } from "./host.ts";
import { CniError, toCniError } from "./protocol/error.ts";
import type { Call } from "./protocol/request.ts";

/**
 * DEL: everything back as the record says, whatever the configuration says today. Idempotent; needs neither namespace
 * nor PF nor API server to be healthy; addresses are released also when no record is left.
 */
export async function del(call: Call, host: Host): Promise<void> {
  try {
    using _attachment = await lockAttachment(call, "DEL", host);
    const known = new Journal(host.paths.stateDir).find(call.containerId, call.ifname);
    const record = known ?? findForeign(call, host) ?? findStray(call, host);
    if (!record) return await releaseUnknown(call, host);
    using _device = await lockDevice(record.device.pci, "DEL", host);
    host.step("del-locked");
    await detach(record, host);
    if (!known) forgetForeign(call, record.device.pci, host);
  } catch (error) {
    throw asRetryable(toCniError(error));
  }
}

async function releaseUnknown(call: Call, host: Host): Promise<void> {
  const type = call.config.ipam?.type;
  if (type && host.ipam.canRelease(type, call)) await host.ipam.ask("DEL", type, call);
}

/**
 * containerd takes a DEL error that says "not found" as success, and Multus one that says "no such file or directory":
 * the work that is left would never be tried again.
 */
function asRetryable(error: CniError): CniError {
  const message = error.message.replace(/no such file or directory/gi, "missing").replace(/not found/gi, "missing");
  return message === error.message ? error : new CniError(error.code, message, { cause: error });
}
