import { findSpan, inSpan, parseIp, type Span, toNumber, toText } from "../../../ipam/address.ts";
import { candidates } from "../../../ipam/allocate.ts";
import { claimOrder, mayKeep, type PoolRange } from "../../../ipam/pool-range.ts";
import { type HeldAddress, sorted } from "../addresses.ts";

/** What an ADD would get from one range, and why. */
export interface Explanation {
  readonly pool: string;
  readonly network: string;
  /** The bounds in the configuration, `first-last`. */
  readonly range: string;
  /** Null: the ADD fails. */
  readonly ip: string | null;
  readonly why: string;
  /** Taken addresses in the range. */
  readonly taken: number;
  /** The first ones that are skipped, and why. */
  readonly skipped: readonly { readonly ip: string; readonly why: string }[];
  readonly order: "lowest" | "highest";
}

export interface ExplainQuestion {
  readonly podref: string;
  readonly ifname: string;
  /** For each range the address that the pod requests, canonical. */
  readonly asked: readonly (string | undefined)[];
  /** Addresses that the configuration fixes, canonical. */
  readonly fixed: readonly string[];
  readonly order: Explanation["order"];
}

const MAX_SKIPPED = 5;

/** What an ADD would get from each range of a configuration, in the order of its claims. Pure. @param addresses all that have a holder. */
export function explain(
  ranges: readonly PoolRange[],
  addresses: readonly HeldAddress[],
  question: ExplainQuestion,
): readonly Explanation[] {
  const given = new Map(question.fixed.map((ip) => [toNumber(ip), "ipam.addresses has it"]));
  const answers = new Map<number, Explanation>();
  for (const i of claimOrder(ranges)) {
    const askedElsewhere = question.asked.flatMap((ip, other) =>
      ip !== undefined && other !== i ? [[toNumber(ip), "the pod asks for it in another range"] as const] : [],
    );
    const barred = new Map([...given, ...askedElsewhere]);
    const answer = explainRange(ranges[i]!, addresses, { ...question, asked: question.asked[i], barred, ranges });
    answers.set(i, answer);
    if (answer.ip !== null) given.set(toNumber(answer.ip), "the interface gets it from another range");
  }
  return ranges.map((_, i) => answers.get(i)!);
}

interface RangeQuestion extends Omit<ExplainQuestion, "asked" | "fixed"> {
  readonly asked: string | undefined;
  /** What the interface has through other ranges, and why. */
  readonly barred: ReadonlyMap<bigint, string>;
  readonly ranges: readonly PoolRange[];
}

function explainRange(source: PoolRange, addresses: readonly HeldAddress[], question: RangeQuestion): Explanation {
  const { pool, range } = source;
  const { podref, ifname, asked, order, barred, ranges } = question;
  const holders = holdersOf(pool, addresses);
  const text = (value: bigint): string => toText({ isV6: range.isV6, value });
  const about = {
    pool: pool.name,
    network: pool.network,
    range: `${text(range.first)}-${text(range.last)}`,
    taken: [...holders.keys()].filter((value) => inSpan(value, range)).length,
    order,
  };
  const isOwn = (one: HeldAddress | undefined): boolean =>
    one?.podref === podref && one.ifname === ifname && one.pool === pool.name;
  if (asked) {
    const holder = holders.get(toNumber(asked));
    if (!holder || isOwn(holder)) return { ...about, ip: asked, why: "the pod asks for it", skipped: [] };
    return { ...about, ip: null, why: `the pod asks for ${asked}, and ${ownerText(holder)} has it`, skipped: [] };
  }
  const isKept = mayKeep(source, ranges);
  const own = sorted([...holders.values()].filter(isOwn)).find(
    ({ ip }) => isKept(toNumber(ip)) && !barred.has(toNumber(ip)),
  );
  if (own) return { ...about, ip: own.ip, why: "the interface has it already", skipped: [] };
  const isTaken = (value: bigint): boolean => barred.has(value) || holders.has(value);
  const next = candidates(range, isTaken, order).next().value ?? undefined;
  const skipped = passedOver(range, (value) => barred.get(value) ?? heldText(holders.get(value)), order, next);
  if (next === undefined)
    return { ...about, ip: null, why: "every address of the range is taken or excluded", skipped };
  const end = order === "lowest" ? "lowest" : "highest";
  const beside = order === "highest" ? "; beside Whereabouts, which takes the lowest" : "";
  return { ...about, ip: text(next), why: `the ${end} free one${beside}`, skipped };
}

/** The holders in the way of a claim in this pool, by number. Without overlapping ranges only its own records count. */
function holdersOf(
  { name, network, overlapping }: PoolRange["pool"],
  addresses: readonly HeldAddress[],
): Map<bigint, HeldAddress> {
  const concerned = addresses.filter((one) =>
    overlapping ? one.network === network : one.pool === name && one.by !== "reservation",
  );
  return new Map(concerned.flatMap((one) => (parseIp(one.ip) ? [[toNumber(one.ip), one] as const] : [])));
}

/** @param whyTaken undefined for an address that is free. */
function passedOver(
  range: PoolRange["range"],
  whyTaken: (address: bigint) => string | undefined,
  order: Explanation["order"],
  next: bigint | undefined,
): Explanation["skipped"] {
  const skipped: { ip: string; why: string }[] = [];
  const text = (value: bigint): string => toText({ isV6: range.isV6, value });
  const step = order === "lowest" ? 1n : -1n;
  let at = order === "lowest" ? range.first : range.last;
  while (at !== next && inSpan(at, range) && skipped.length < MAX_SKIPPED) {
    const excluded = findSpan(range.excluded, at);
    const why = whyTaken(at);
    if (excluded) {
      skipped.push({ ip: spanText(excluded, text), why: "excluded" });
      at = order === "lowest" ? excluded.last : excluded.first;
    } else if (why) skipped.push({ ip: text(at), why });
    at += step;
  }
  return skipped;
}

const heldText = (holder: HeldAddress | undefined): string | undefined => holder && `${ownerText(holder)} has it`;

const spanText = ({ first, last }: Span, text: (value: bigint) => string): string =>
  first === last ? text(first) : `${text(first)}-${text(last)}`;

const ownerText = ({ podref, ifname, node }: HeldAddress): string =>
  `${podref}${ifname && ` (${ifname})`}${node && ` on ${node}`}`;
