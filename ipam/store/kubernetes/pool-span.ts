import { parseCidr, type Span, spanOf } from "../../address.ts";
import { rangeOfPool } from "../../whereabouts/names.ts";

/** The range in a pool's name, if it belongs to the network: `rail0-10.10.0.0-16`, `2001-db8---64`. */
export function cidrOfPool(network: string, name: string): { readonly isV6: boolean; readonly span: Span } | undefined {
  const cidr = rangeOfPool(network, "", name);
  return cidr && { isV6: cidr.isV6, span: spanOf(cidr) };
}

/** Whether a pool and a CIDR have addresses in common. */
export function sharesAddresses({ isV6, span }: { isV6: boolean; span: Span }, cidr: string): boolean {
  const other = parseCidr(cidr);
  if (other?.isV6 !== isV6) return false;
  const { first, last } = spanOf(other);
  return first <= span.last && span.first <= last;
}

export const isIn = ({ isV6, span }: { isV6: boolean; span: Span }, address: bigint, isAddressV6: boolean): boolean =>
  isV6 === isAddressV6 && address >= span.first && address <= span.last;
