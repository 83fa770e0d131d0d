import type { RdmaNetnsMode } from "../../kernel/rdma.ts";
import { type RailFiles, readListed } from "../rail-network/file.ts";
import { listPfFacts, type NameOfAltname, selectPfs } from "../rails/select.ts";

/** The configured rails, as far as this node has them. */
export interface RailNames {
  /** Rail by the name of its PF. */
  readonly byPf: Readonly<Record<string, string>>;
  /** What the list wants for those that are here; `vfs` 0 and `rdma` null: nothing. */
  readonly here: readonly {
    readonly rail: string;
    readonly pf: string;
    readonly vfs: number;
    readonly rdma: RdmaNetnsMode | null;
  }[];
  /** Why other rails are not here. */
  readonly absent: readonly { readonly rail: string; readonly why: string }[];
  /** Why the list cannot be used; empty if it can. */
  readonly unusable: string;
}

export const NO_RAILS: RailNames = { byPf: {}, here: [], absent: [], unusable: "" };

/** Reads the list and sysfs afresh. Never throws. */
export function readRailNames(files: RailFiles, sysfs: string, nameOfAltname: NameOfAltname): RailNames {
  try {
    const { rails, refused } = readListed(files);
    const { here, absent } = selectPfs(rails, listPfFacts(sysfs), nameOfAltname);
    const wanted = here.map(({ rail: { name: rail, vfs, rdma = null }, pf }) => ({
      rail,
      pf: pf.name ?? pf.pci,
      vfs,
      rdma,
    }));
    const byPf = Object.fromEntries(wanted.toReversed().map(({ rail, pf }) => [pf, rail])); // the first of those that share one
    return { byPf, here: wanted, absent: [...refused, ...absent], unusable: "" };
  } catch (error) {
    return { ...NO_RAILS, unusable: (error as Error).message };
  }
}
