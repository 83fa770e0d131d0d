import { setImmediate as nextTurn } from "node:timers/promises";
import type { ClaimJournal } from "../../../ipam/journal.ts";

/** By its name a kubelet may have a pod from a file of its node: pkg/kubelet/config/common.go, generatePodName(). */
export const mayBeStaticOn = (podref: string, node: string): boolean => podref.endsWith(`-${node.toLowerCase()}`);

/**
 * podrefs of this node's claims whose pods its kubelet may have from a file. Nobody else can tell that they run: the object
 * that shows such a pod may be refused, or deleted.
 */
export async function staticRecords(journal: ClaimJournal, node: string): Promise<string[]> {
  const podrefs = new Set<string>();
  for (const record of journal.all()) {
    const { phase, owner, storage } = record;
    if (phase !== "releasing" && storage.kind === "kubernetes" && mayBeStaticOn(owner.podref, node))
      podrefs.add(owner.podref);
    await nextTurn();
  }
  return [...podrefs].sort();
}
