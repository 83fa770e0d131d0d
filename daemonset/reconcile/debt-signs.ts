import { Debts } from "../../cni/attachment/debts.ts";
import type { Paths } from "../../cni/host.ts";
import { driverOf, hasCarrier, netdevOf, pfOf } from "../../kernel/sysfs.ts";

/**
 * What may allow a debt to be settled: a driver, a link, the PF's carrier. If the text changes, it is worth trying again.
 * Only a directory listing if nothing is owed. Never throws.
 */
export function debtSigns({ stateDir, sysfs }: Paths): string {
  return owed(stateDir)
    .sort()
    .map((pci) => {
      const pf = pfOf(sysfs, pci)?.name;
      return [pci, driverOf(sysfs, pci), netdevOf(sysfs, pci), pf && hasCarrier(sysfs, pf)].join();
    })
    .join(" ");
}

function owed(stateDir: string): string[] {
  try {
    return [...new Debts(stateDir).devices()];
  } catch {
    return []; // whoever needs the directory reports what is wrong with it
  }
}
