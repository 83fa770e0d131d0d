import { findSpan, inSpan, parseIp, type Span, toNumber, toText } from "../../../../ipam/address.ts";
import { candidates } from "../../../../ipam/allocate.ts";
import type { PoolRange } from "../../../../ipam/pool-range.ts";
import type { Address } from "../addresses.ts";

/** What an ADD would get from one range, and why. */
export interface Explanation {
  readonly pool: string;
  readonly network: string;
  /** What the configuration gives out, `first-last`. */
  readonly range: string;
  /** Null: the ADD fails. */
  readonly ip: string | null;
  readonly why: string;
  /** Taken addresses in the range. */
  readonly taken: number;
  /** The first ones that are passed over, and why. */
  readonly skipped: readonly { readonly ip: string; readonly why: string }[];
  readonly order: "lowest" | "highest";
}

export interface Question {
  readonly podref: string;
  readonly ifname: string;
  /** Addresses that the pod asks for, canonical. */
  readonly requested: readonly string[];
  readonly order: Explanation["order"];
}

const MAX_SKIPPED = 5;

/** Pure. @param addresses all that somebody has. */
export function explain({ pool, range }: PoolRange, addresses: readonly Address[], question: Question): Explanation {
  const { podref, ifname, requested, order } = question;
  const holders = holdersOf(pool, addresses);
  const text = (value: bigint): string => toText({ isV6: range.isV6, value });
  const about = {
    pool: pool.name,
    network: pool.network,
    range: `${text(range.first)}-${text(range.last)}`,
    taken: [...holders.keys()].filter((value) => inSpan(value, range)).length,
    order,
  };
  const isOwn = (one: Address | undefined): boolean => one?.podref === podref && one.ifname === ifname;
  const asked = requested.find((ip) => parseIp(ip)?.isV6 === range.isV6 && inSpan(toNumber(ip), wholeOf(range)));
  if (asked) {
    const holder = holders.get(toNumber(asked));
    if (!holder || isOwn(holder)) return { ...about, ip: asked, why: "the pod asks for it", skipped: [] };
    return { ...about, ip: null, why: `the pod asks for ${asked}, and ${ownerText(holder)} has it`, skipped: [] };
  }
  const own = [...holders.values()].find(isOwn);
  if (own) return { ...about, ip: own.ip, why: "the interface has it already", skipped: [] };
  const next = candidates(range, (value) => holders.has(value), order).next().value ?? undefined;
  const skipped = passedOver({ pool, range }, holders, order, next);
  if (next === undefined)
    return { ...about, ip: null, why: "every address of the range is taken or excluded", skipped };
  const end = order === "lowest" ? "lowest" : "highest";
  const beside = order === "highest" ? "; beside Whereabouts, which takes the lowest" : "";
  return { ...about, ip: text(next), why: `the ${end} one that nobody has${beside}`, skipped };
}

const wholeOf = ({ network, prefixBits, isV6 }: PoolRange["range"]): Span => ({
  first: network,
  last: network + (1n << BigInt((isV6 ? 128 : 32) - prefixBits)) - 1n,
});

/** Who stands in the way of a claim in this pool, by number. Without overlapping ranges its own records alone count. */
function holdersOf(
  { name, network, overlapping }: PoolRange["pool"],
  addresses: readonly Address[],
): Map<bigint, Address> {
  const concerned = addresses.filter((one) =>
    overlapping ? one.network === network : one.pool === name && one.by !== "reservation",
  );
  return new Map(concerned.flatMap((one) => (parseIp(one.ip) ? [[toNumber(one.ip), one] as const] : [])));
}

function passedOver(
  { range }: PoolRange,
  holders: ReadonlyMap<bigint, Address>,
  order: Explanation["order"],
  next: bigint | undefined,
): Explanation["skipped"] {
  const skipped: { ip: string; why: string }[] = [];
  const text = (value: bigint): string => toText({ isV6: range.isV6, value });
  const step = order === "lowest" ? 1n : -1n;
  let at = order === "lowest" ? range.first : range.last;
  while (at !== next && inSpan(at, range) && skipped.length < MAX_SKIPPED) {
    const excluded = findSpan(range.excluded, at);
    const holder = holders.get(at);
    if (excluded) {
      skipped.push({ ip: spanText(excluded, text), why: "excluded" });
      at = order === "lowest" ? excluded.last : excluded.first;
    } else if (holder) skipped.push({ ip: text(at), why: `${ownerText(holder)} has it` });
    at += step;
  }
  return skipped;
}

const spanText = ({ first, last }: Span, text: (value: bigint) => string): string =>
  first === last ? text(first) : `${text(first)}-${text(last)}`;

const ownerText = ({ podref, ifname, node }: Address): string =>
  `${podref}${ifname && ` (${ifname})`}${node && ` on ${node}`}`;
