import { CniError, CODE } from "../../cni/protocol/error.ts";
import type { Call } from "../../cni/protocol/request.ts";
import { type Address, inSpan, parseCidr, parseIp, toText } from "../address.ts";
import type { PoolRange } from "../pool-range.ts";
import { contains, whyUnusable } from "../range.ts";
import { splitArg } from "./fixed.ts";

/** An address that the pod requests. */
interface Wanted {
  /** Where it is requested: `runtimeConfig.ips[0]`. */
  readonly at: string;
  readonly text: string;
}

/** One that some range can yield. */
interface Wish extends Wanted {
  /** Canonical. */
  readonly ip: string;
  readonly address: Address;
}

/**
 * The addresses that a pod requests: `runtimeConfig.ips`, else `args.cni.ips`, and those of CNI_ARGS `IP` that are in a
 * range. With or without prefix length; the result has the range's own. Multus (pkg/multus/multus.go, v4.3.0) passes the
 * same request twice, in `runtimeConfig.ips` and in CNI_ARGS `IP`: equal addresses are one request.
 *
 * @param gateway nobody may request it. @param fixed addresses that the result has in any case.
 * @returns `asked`: the address that each range must yield; `outside`: what else CNI_ARGS `IP` contains, as written.
 * @throws {CniError} 7 for what cannot be assigned, naming field, value and reason.
 */
export function readRequested(
  call: Call,
  ranges: readonly PoolRange[],
  { gateway, fixed = [] }: { readonly gateway?: string | undefined; readonly fixed?: readonly string[] } = {},
): { readonly asked: readonly (string | undefined)[]; readonly outside: readonly string[] } {
  const { runtimeConfig, args } = call.config;
  const lists = ips(runtimeConfig?.["ips"], "runtimeConfig.ips") ?? ips(args?.cni?.["ips"], "args.cni.ips") ?? [];
  const fromArgs = splitArg(call.args["IP"]).map((text) => ({ at: "CNI_ARGS IP", text }));
  const outside = fromArgs.filter(({ text }) => !liesInOne(text, ranges));
  const wishes = new Map<string, Wish>();
  for (const one of [...lists, ...fromArgs.filter((one) => !outside.includes(one))]) {
    const wish = usable(one, ranges, gateway, fixed);
    if (!wishes.has(wish.ip)) wishes.set(wish.ip, wish);
  }
  return { asked: assign([...wishes.values()], ranges), outside: outside.map(({ text }) => text) };
}

function ips(value: unknown, at: string): Wanted[] | undefined {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((ip) => typeof ip === "string"))
    throw new CniError(CODE.DECODING_FAILURE, `cannot decode ${at}: want a list of strings`);
  return value.length > 0 ? value.map((text, i) => ({ at: `${at}[${i}]`, text })) : undefined;
}

const parse = (text: string): Address | undefined =>
  text.includes("/") ? parseCidr(text, { sloppy: true }) : parseIp(text, { sloppy: true });

function liesInOne(text: string, ranges: readonly PoolRange[]): boolean {
  const ip = parse(text);
  return ip !== undefined && ranges.some(({ range }) => contains(range, ip));
}

/** @throws {CniError} 7 for an address that no range can yield. */
function usable(wanted: Wanted, ranges: readonly PoolRange[], gateway: string | undefined, fixed: readonly string[]) {
  const address = parse(wanted.text);
  if (!address) throw refused(wanted, "it is not an IP address", "ask for one such as 10.0.0.5");
  const ip = toText(address);
  if (ip === gateway) throw refused(wanted, "it is the gateway", `ask for another one of ${cidrsOf(ranges)}`);
  if (fixed.includes(ip)) throw refused(wanted, "ipam.addresses has it already", askFor(ranges));
  const inside = ranges.filter(({ range }) => contains(range, address));
  if (inside.length === 0)
    throw refused(wanted, `it is in no range of this network (${cidrsOf(ranges)})`, askFor(ranges));
  const reasons = inside.map(({ range }) => whyUnusable(range, address));
  if (!reasons.includes(undefined)) throw refused(wanted, reasons[0]!, askFor(ranges));
  return { ...wanted, ip, address };
}

/**
 * One request per range: preferably the range within whose bounds it is, otherwise one whose network it is in. Augmenting
 * paths, so that no request is refused because another one took its range needlessly.
 */
function assign(wishes: readonly Wish[], ranges: readonly PoolRange[]): (string | undefined)[] {
  const given = new Map<number, Wish>();
  const isBound = ({ address }: Wish, { range }: PoolRange) =>
    address.isV6 === range.isV6 && inSpan(address.value, range) && !whyUnusable(range, address);
  const isIn = ({ address }: Wish, { range }: PoolRange) => !whyUnusable(range, address);
  for (const fits of [isBound, isIn])
    for (const wish of wishes) if (![...given.values()].includes(wish)) place(wish, ranges, fits, given, new Set());
  const left = wishes.find((wish) => ![...given.values()].includes(wish));
  if (left) throw refused(left, "another address of the same range is asked for too", askFor(ranges));
  return ranges.map((_, i) => given.get(i)?.ip);
}

type Fits = (wish: Wish, range: PoolRange) => boolean;

/** @returns whether a range could be found, if need be by moving the request that has it to another one. */
function place(
  wish: Wish,
  ranges: readonly PoolRange[],
  fits: Fits,
  given: Map<number, Wish>,
  seen: Set<number>,
): boolean {
  for (const [i, range] of ranges.entries()) {
    if (seen.has(i) || !fits(wish, range)) continue;
    seen.add(i);
    const before = given.get(i);
    if (before && !place(before, ranges, fits, given, seen)) continue;
    given.set(i, wish);
    return true;
  }
  return false;
}

const cidrsOf = (ranges: readonly PoolRange[]): string => ranges.map(({ pool }) => pool.cidr).join(", ") || "none";
const askFor = (ranges: readonly PoolRange[]): string => `ask for a free address of ${cidrsOf(ranges)}, one a range`;

const refused = ({ at, text }: Wanted, why: string, fix: string): CniError =>
  new CniError(CODE.INVALID_CONFIG, `cannot use ${at} ${JSON.stringify(text.slice(0, 100))}: ${why}; ${fix}`);
