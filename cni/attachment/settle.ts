import { isVf } from "../../kernel/sysfs.ts";
import type { Host } from "../host.ts";
import { type Debt, Debts } from "./debts.ts";
import { Journal } from "./journal.ts";
import { inWords, narrow } from "./owed.ts";
import type { Attachment } from "./record.ts";
import { putBack } from "./restore.ts";
import { untellVf } from "./told/tell.ts";

/**
 * Restores a VF; what cannot be done now becomes a debt. The caller holds the VF's lock.
 *
 * @throws {CniError} 5 when the debt cannot be written: then the attachment's record has to stay.
 */
export async function giveBack(a: Attachment, host: Host): Promise<void> {
  const owed = await putBack(a, host);
  await untellVf(a.containerId, a.device.pci, host);
  if (owed.length === 0) return;
  const { containerId: containerID, ifname, device } = a;
  host.log.warn({ pci: device.pci, containerID, ifname, owed: inWords(owed) }, "the VF is not fully restored");
  new Debts(host.paths.stateDir).write({ ...narrow(a, owed), owed });
}

/** The state of a debt after another attempt: `settled` also when nothing is left to settle. */
export type Settlement = { readonly is: "settled" } | { readonly is: "open"; readonly debt: Debt };

/**
 * Tries again to settle what a VF is owed. A reboot, new VFs and a new owner make a debt void. The caller holds the VF's lock.
 *
 * @returns undefined when it is owed nothing.
 */
export async function settle(pci: string, host: Host): Promise<Settlement | undefined> {
  const debts = new Debts(host.paths.stateDir);
  const debt = debts.of(pci);
  if (!debt) return undefined;
  const owed = isVoid(debt, host) ? [] : await putBack(debt, host);
  if (owed.length === 0) {
    debts.forget(pci);
    host.log.info({ pci, owed: inWords(debt.owed) }, "the VF is fully restored");
    return { is: "settled" };
  }
  const left = { ...narrow(debt, owed), owed };
  if (inWords(owed) !== inWords(debt.owed)) debts.write(left);
  return { is: "open", debt: left };
}

function isVoid({ device: { pci }, bootId }: Debt, host: Host): boolean {
  if (bootId !== host.bootId || !isVf(host.paths.sysfs, pci)) return true;
  return new Journal(host.paths.stateDir).activeOwners(pci, bootId).length > 0;
}
