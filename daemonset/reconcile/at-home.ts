import { setImmediate as nextTurn } from "node:timers/promises";
import { Debts } from "../../cni/attachment/debts.ts";
import { tryLockDevice } from "../../cni/attachment/exclusion.ts";
import { linkAtHome, noteAtHome } from "../../cni/attachment/home.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import type { Attachment } from "../../cni/attachment/record.ts";
import { strayAtHome } from "../../cni/attachment/stray.ts";
import type { Host } from "../../cni/host.ts";
import { listPfs, vfsOf } from "../../kernel/sysfs.ts";

/**
 * Examines every unused VF in the host's namespace: notes its state, and finds those that came back from a pod and whose
 * record is lost. A VF whose lock is held is being worked on.
 *
 * @param isWithin which PFs are examined, by PCI address.
 * @param onStray called with the VF's lock held.
 */
export async function lookAtHome(
  host: Host,
  isWithin: (pf: string) => boolean,
  onStray: (stray: Attachment) => Promise<void>,
): Promise<void> {
  const { sysfs, stateDir } = host.paths;
  const busy = new Journal(stateDir).devices().union(new Debts(stateDir).devices());
  for (const { name, pci: pfPci } of listPfs(sysfs).filter(({ pci }) => isWithin(pci)))
    for (const [vf, pci] of vfsOf(sysfs, pfPci).entries()) {
      if (!busy.has(pci)) await look({ pci, pf: { name, pci: pfPci, vf } }, host, onStray);
      await nextTurn(); // lets requests in: there may be hundreds of VFs
    }
}

async function look(
  device: Required<Attachment["device"]>,
  host: Host,
  onStray: (stray: Attachment) => Promise<void>,
): Promise<void> {
  using lock = tryLockDevice(device.pci, host);
  if (!lock || new Journal(host.paths.stateDir).activeOwners(device.pci, host.bootId).length > 0) return;
  const link = linkAtHome(device.pci, host);
  if (!link) return;
  const stray = strayAtHome(device.pci, link, host);
  if (stray) await onStray(stray);
  else noteAtHome(device, link, host);
}
