import { Debts } from "../../cni/attachment/debts.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import { inWords } from "../../cni/attachment/owed.ts";
import { describe } from "../../cni/attachment/record.ts";
import type { Paths } from "../../cni/host.ts";
import { ClaimJournal } from "../../ipam/journal.ts";
import { Locks } from "../../records/lock.ts";

/** How many attachments a message names. */
const NAMED = 3;

/**
 * Why Railnet is still needed on this node, in words; empty if it is not. Without it no DEL would find its plugin, and
 * neither VF nor address would be given back.
 */
export function obstacles({ stateDir, runDir }: Paths, bootId: string): string[] {
  const live = new Journal(stateDir).all().filter((a) => a.bootId === bootId && a.phase !== "returned");
  const owed = new Debts(stateDir).all().filter((debt) => debt.bootId === bootId);
  const claims = [...new ClaimJournal(stateDir).all()].length;
  const agent = new Locks(runDir).tryAcquire("agent");
  agent?.[Symbol.dispose]();
  const named = live.slice(0, NAMED).map(describe).join("; ");
  const more = live.length > NAMED ? `; and ${live.length - NAMED} more` : "";
  return [
    ...(agent ? [] : ["an agent is running here and would install again: delete its DaemonSet first"]),
    ...(live.length > 0 ? [`attachments live (${live.length}): ${named}${more}; delete these pods first`] : []),
    ...owed.map(
      ({ device, owed: parts }) =>
        `VF ${device.pci} is not fully restored: ${inWords(parts)}: fix that, or reboot the node`,
    ),
    ...(live.length === 0 && claims > 0
      ? [`addresses are on record (${claims} in ${stateDir}/ipam): pods have them, or an agent has yet to release them`]
      : []),
  ];
}
