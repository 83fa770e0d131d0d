import { driverOf, isPf, listPciDevices, netdevOf, vendorOf } from "../../kernel/sysfs.ts";
import type { PfSelector, Rail } from "./config.ts";
import { overlap, rangesText, splitWord, type VfRange } from "./vf-range.ts";

/** A physical function as sysfs shows it: what selectors match. */
export interface PfFacts {
  readonly pci: string;
  /** Its link; absent without a driver. */
  readonly name?: string;
  readonly vendor?: string;
  readonly driver?: string;
}

/** A rail on this node. */
export interface RailHere {
  readonly rail: Rail;
  readonly pf: PfFacts;
  /** Which of the PF's VFs; absent: all of them. */
  readonly ranges?: readonly VfRange[];
}

export interface PfSelection {
  readonly here: readonly RailHere[];
  /** Rails that this node does not have, which is not an error. */
  readonly absent: readonly { readonly rail: string; readonly why: string }[];
}

/** The name of the link that has an alternative name. */
export type NameOfAltname = (altname: string) => string | undefined;

/** All PFs, with or without link and VFs, by PCI address. */
export function listPfFacts(sysfs: string): PfFacts[] {
  return listPciDevices(sysfs)
    .filter((pci) => isPf(sysfs, pci))
    .map((pci) => {
      const [name, vendor, driver] = [netdevOf(sysfs, pci), vendorOf(sysfs, pci), driverOf(sysfs, pci)];
      return { pci, ...(name && { name }), ...(vendor && { vendor }), ...(driver && { driver }) };
    });
}

/**
 * The first PF that a rail's selectors match is the rail's. If it already is another rail's, the rail is absent: the next
 * PF might be cabled to anything. Rails that name VFs of it may share a PF, as long as no VF belongs to two, and they agree
 * on how many there are.
 */
export function selectPfs(
  rails: readonly Rail[],
  pfs: readonly PfFacts[],
  nameOfAltname: NameOfAltname = () => undefined,
): PfSelection {
  const here: RailHere[] = [];
  const absent: { rail: string; why: string }[] = [];
  for (const rail of rails) {
    const selector = withRealNames(rail.pf, pfs, nameOfAltname);
    const pf = pfs.find((one) => matches(selector, one));
    const ranges = pf && rangesOf(selector, pf);
    const one = pf && { rail, pf, ...(ranges && { ranges }) };
    const clash = one && here.map((other) => clashOf(one, other)).find((why) => why !== undefined);
    if (!one) absent.push({ rail: rail.name, why: "no PF of this node matches its selectors" });
    else if (clash) absent.push({ rail: rail.name, why: clash });
    else here.push(one);
  }
  return { here, absent };
}

/** Why two rails cannot both be here. */
function clashOf({ rail, pf, ranges }: RailHere, other: RailHere): string | undefined {
  if (other.pf.pci !== pf.pci) return undefined;
  const owner = `rail ${other.rail.name}`;
  if (!ranges || !other.ranges) return `${nameOf(pf)} is the PF of ${owner}`;
  if (overlap(ranges, other.ranges))
    return `of ${nameOf(pf)} the VFs ${rangesText(other.ranges)} are those of ${owner}, and it wants ${rangesText(ranges)}`;
  if (rail.vfs > 0 && other.rail.vfs > 0 && rail.vfs !== other.rail.vfs)
    return `${owner} wants ${other.rail.vfs} VFs of ${nameOf(pf)}, and it wants ${rail.vfs}: say the same, or leave it out`;
  return undefined;
}

/** From the words that select a PF; both names and addresses must be satisfied. */
function rangesOf({ names, pciAddresses }: PfSelector, pf: PfFacts): readonly VfRange[] | undefined {
  const of = (words: readonly string[], value?: string) =>
    words.map(splitWord).find((word) => word.pf === value)?.ranges;
  const [byName, byPci] = [of(names, pf.name), of(pciAddresses, pf.pci)];
  if (!byName || !byPci) return byName ?? byPci;
  return byName.flatMap(([first, last]) =>
    byPci.flatMap(([from, to]): VfRange[] =>
      Math.max(first, from) <= Math.min(last, to) ? [[Math.max(first, from), Math.min(last, to)]] : [],
    ),
  );
}

/** Names in selectors that no PF has: they may be alternative names. */
export const unknownNames = (rails: readonly Rail[], pfs: readonly PfFacts[]): string[] =>
  rails
    .flatMap(({ pf: { names } }) => names.map((word) => splitWord(word).pf))
    .filter((name) => !pfs.some((pf) => pf.name === name));

/** Only names of no PF are looked up. */
function withRealNames(selector: PfSelector, pfs: readonly PfFacts[], nameOfAltname: NameOfAltname): PfSelector {
  const real = (word: string) => {
    const { pf: name, ranges } = splitWord(word);
    const found = pfs.some((pf) => pf.name === name) ? name : (nameOfAltname(name) ?? name);
    return ranges ? `${found}#${rangesText(ranges)}` : found;
  };
  return { ...selector, names: selector.names.map(real) };
}

/** A PF for people. */
export const nameOf = ({ name, pci }: PfFacts): string => (name ? `${name} (${pci})` : pci);

function matches({ names, pciAddresses, vendors, drivers }: PfSelector, pf: PfFacts): boolean {
  const allows = (wanted: readonly string[], value?: string) => wanted.length === 0 || wanted.includes(value ?? "");
  const pfOf = (word: string) => splitWord(word).pf;
  return (
    allows(names.map(pfOf), pf.name) &&
    allows(pciAddresses.map(pfOf), pf.pci) &&
    allows(vendors, pf.vendor) &&
    allows(drivers, pf.driver)
  );
}
