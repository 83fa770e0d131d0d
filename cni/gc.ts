import { detach } from "./attachment/detach.ts";
import { lockAttachment, lockDevice } from "./attachment/exclusion.ts";
import { Journal } from "./attachment/journal.ts";
import { type Attachment, describe, runtimeName } from "./attachment/record.ts";
import { ATTACH_CODE } from "./codes.ts";
import type { Host } from "./host.ts";
import { CniError, toCniError } from "./protocol/error.ts";
import type { Call } from "./protocol/request.ts";
import { ipamCalls } from "./rail-calls.ts";

/**
 * GC: ends every attachment of this network that the runtime does not list; those of other networks are left alone. A
 * missing list is not an empty one: then nothing is done (cnitool calls it so). One failing attachment does not stop the others.
 */
export async function gc(call: Call, host: Host): Promise<void> {
  if (!call.validAttachments) return;
  const valid = new Set(call.validAttachments.map((a) => `${a.containerID}\0${a.ifname}`));
  const stale = new Journal(host.paths.stateDir)
    .all()
    .filter((a) => a.network === call.config.name && !valid.has(`${a.containerId}\0${runtimeName(a)}`))
    .filter((a) => host.share?.has(a.device.pci) ?? true);
  const failures: string[] = [];
  for (const a of stale.toSorted(firstRailLast))
    await collect(a, host).catch((error) => failures.push(`${describe(a)}: ${toCniError(error).message}`));
  const left = failures.length;
  for (const one of host.share?.asksIpam === false ? [] : ipamCalls(call)) {
    const type = one.config.ipam?.type;
    if (type)
      await host.ipam.ask("GC", type, one).catch((error) => failures.push(`${type}: ${toCniError(error).message}`));
  }
  const why = failures.join("; ");
  if (left > 0) throw new CniError(ATTACH_CODE.FAILED, `cannot collect ${left} of ${stale.length}: ${why}`);
  if (why) throw new CniError(ATTACH_CODE.FAILED, `cannot collect addresses: ${why}`);
}

/** As for DEL: {@link Journal.isWhole}. */
const firstRailLast = (a: Attachment, b: Attachment): number => Number(isFirst(a)) - Number(isFirst(b));
const isFirst = ({ ifname, set }: Attachment): boolean => set?.rails[0] === ifname;

async function collect(a: Attachment, host: Host): Promise<void> {
  using _attachment = await lockAttachment(a, "DEL", host);
  const now = new Journal(host.paths.stateDir).find(a.containerId, a.ifname);
  if (!now) return; // its DEL came first
  using _device = await lockDevice(now.device.pci, "DEL", host);
  await detach(now, host);
}
