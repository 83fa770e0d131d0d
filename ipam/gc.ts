import { CniError, CODE, toCniError } from "../cni/protocol/error.ts";
import type { Call } from "../cni/protocol/request.ts";
import { noteAndRelease } from "./del.ts";
import type { IpamHost } from "./host.ts";
import { ClaimJournal } from "./journal.ts";
import { lockAttachment } from "./lock.ts";

/**
 * GC: releases the addresses of every attachment of this network that the runtime does not list. A missing list is not
 * an empty one: then nothing is done. One failure does not stop the others.
 */
export async function gc(call: Call, host: IpamHost): Promise<void> {
  if (!call.validAttachments) return;
  const valid = new Set(call.validAttachments.map((a) => `${a.containerID}\0${a.ifname}`));
  const journal = new ClaimJournal(host.stateDir);
  const failures: string[] = [];
  for (const { network, owner, via = owner.ifname } of journal.all()) {
    if (network !== call.config.name || valid.has(`${owner.containerId}\0${via}`)) continue;
    await collect(owner, journal, host).catch((error) => failures.push(toCniError(error).message));
  }
  if (failures.length > 0)
    throw new CniError(CODE.FAILED, `cannot collect ${failures.length} attachments: ${failures.join("; ")}`);
}

async function collect(who: { containerId: string; ifname: string }, journal: ClaimJournal, host: IpamHost) {
  using _lock = await lockAttachment(who, host);
  const now = journal.find(who.containerId, who.ifname); // its DEL may have come first
  if (now) await noteAndRelease(now, journal, host);
}
