import { readRails } from "../rails/config.ts";
import { listPfFacts, selectPfs } from "../rails/select.ts";

/** The rails that are configured, as far as this node has them. */
export interface RailNames {
  /** Rail by the name of its PF. */
  readonly byPf: Readonly<Record<string, string>>;
  /** Why other rails are not here. */
  readonly absent: readonly { readonly rail: string; readonly why: string }[];
  /** Why the list cannot be used; empty when it can. */
  readonly unusable: string;
}

export const NO_RAILS: RailNames = { byPf: {}, absent: [], unusable: "" };

/** Reads the list and sysfs afresh. Never throws. */
export function readRailNames(railsFile: string, sysfs: string): RailNames {
  try {
    const { here, absent } = selectPfs(readRails(railsFile), listPfFacts(sysfs));
    return {
      byPf: Object.fromEntries(here.map(({ rail, pf }) => [pf.name ?? pf.pci, rail.name])),
      absent,
      unusable: "",
    };
  } catch (error) {
    return { ...NO_RAILS, unusable: (error as Error).message };
  }
}
