/** Which attachments a run of the reconciler is about, by their PFs' PCI addresses: those of one, or of none of some. */
export type Scope = { readonly pf: string } | { readonly except: readonly string[] };

export const isPfWithin =
  (scope: Scope) =>
  (pf: string): boolean =>
    "pf" in scope ? pf === scope.pf : !scope.except.includes(pf);
