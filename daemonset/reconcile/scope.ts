import { vfsOf } from "../../kernel/sysfs.ts";

/** Whose VFs a run of the reconciler covers, by PCI addresses of PFs: those of one, or all but those of some. */
export type Scope = { readonly pf: string } | { readonly except: readonly string[] };

export const isPfWithin =
  (scope: Scope) =>
  (pf: string): boolean =>
    "pf" in scope ? pf === scope.pf : !scope.except.includes(pf);

/** @returns a function that tells whether a VF is covered, as sysfs shows it now; one that no PF has belongs to none. */
export function isVfWithin(scope: Scope, sysfs: string): (pci: string) => boolean {
  const vfs = new Set(("pf" in scope ? [scope.pf] : scope.except).flatMap((pf) => vfsOf(sysfs, pf)));
  return (pci) => vfs.has(pci) === "pf" in scope;
}
