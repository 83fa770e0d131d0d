import { ClaimJournal, type ClaimRecord } from "../../../ipam/journal.ts";
import { Actor, runAs } from "../core/actor.ts";
import { PATHS } from "../world/edges.ts";
import type { Machine } from "../world/machine.ts";

/** The journal of a node, by the product's own reader. */
export function journalOf(machine: Machine): ClaimRecord[] {
  const reader = new Actor(`${machine.name}.reader`, "reader", machine);
  return runAs(reader, () => [...new ClaimJournal(PATHS.stateDir).all()]);
}
