/** VFs of a PF by their index, both ends inclusive. */
export type VfRange = readonly [first: number, last: number];

/** A selector's word: a PF, and which of its VFs; without ranges all of them. */
export interface PfWord {
  readonly pf: string;
  readonly ranges?: readonly VfRange[];
}

const RANGES = /^\d{1,5}(?:-\d{1,5})?(?:,\d{1,5}(?:-\d{1,5})?)*$/;

/**
 * As the SR-IOV device plugin writes it in `pfNames` and `rootDevices`: `ens1f0np0#1-7`, `ens1f0np0#0,4-7`, `0000:18:00.0#0-3`, both
 * ends inclusive (`isSelected()`, pkg/resources/deviceSelectors.go). There the part before `#` may be a regular expression; here it may not.
 */
export function splitWord(word: string): PfWord {
  const at = word.lastIndexOf("#");
  const list = at < 0 ? "" : word.slice(at + 1);
  if (!RANGES.test(list)) return { pf: word };
  const ranges = list.split(",").map((range): VfRange => {
    const [first, last = first] = range.split("-").map(Number);
    return [first!, last!];
  });
  return { pf: word.slice(0, at), ranges };
}

/** Whether a VF is among the selected ones. */
export const isIn = (index: number, ranges: readonly VfRange[] | undefined): boolean =>
  ranges?.some(([first, last]) => first <= index && index <= last) ?? true;

/** Whether both select some VF. */
export const overlap = (a: readonly VfRange[] | undefined, b: readonly VfRange[] | undefined): boolean =>
  !a || !b || a.some(([first, last]) => b.some(([from, to]) => first <= to && from <= last));

/** For people: `1-7`. */
export const rangesText = (ranges: readonly VfRange[]): string =>
  ranges.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(",");
