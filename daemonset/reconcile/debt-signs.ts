import { Debts } from "../../cni/attachment/debts.ts";
import type { Paths } from "../../cni/host.ts";
import { driverOf, hasCarrier, netdevOf, pfOf } from "../../kernel/sysfs.ts";

/**
 * What may let a debt be settled: a driver, a link, the PF's carrier. Another text is a reason to try again. A directory
 * listing where nothing is owed. Never throws.
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
    return []; // whoever needs the directory says what is wrong with it
  }
}
