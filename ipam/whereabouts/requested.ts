import { CniError, CODE } from "../../cni/protocol/error.ts";
import type { Call } from "../../cni/protocol/request.ts";
import { type Address, parseCidr, parseIp, toText } from "../address.ts";
import type { PoolRange } from "../pool-range.ts";
import { contains, whyUnusable } from "../range.ts";
import { splitArg } from "./fixed.ts";

/** An address that the pod asks for. */
interface Wanted {
  /** Where it says so: `runtimeConfig.ips[0]`. */
  readonly at: string;
  readonly text: string;
}

/**
 * The addresses that a pod asks for: `runtimeConfig.ips`, else `args.cni.ips`, and those of CNI_ARGS `IP` that lie in
 * a range. With or without prefix length; the result has the range's own.
 *
 * @param gateway nobody may ask for it.
 * @returns `outside`: what CNI_ARGS `IP` says besides, as it is written.
 * @throws {CniError} 7 for what cannot be given, naming field, value and reason.
 */
export function readRequested(call: Call, ranges: readonly PoolRange[], gateway: string | undefined) {
  const { runtimeConfig, args } = call.config;
  const lists = ips(runtimeConfig?.["ips"], "runtimeConfig.ips") ?? ips(args?.cni?.["ips"], "args.cni.ips") ?? [];
  const fromArgs = splitArg(call.args["IP"]).map((text) => ({ at: "CNI_ARGS IP", text }));
  const outside = fromArgs.filter(({ text }) => !liesInOne(text, ranges));
  const free = [...ranges];
  const requested = [...lists, ...fromArgs.filter((one) => !outside.includes(one))].map((one) =>
    assign(one, free, ranges, gateway),
  );
  return { requested, outside: outside.map(({ text }) => text) };
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

/** Takes a range that the address is in out of `free`: each gives one address. */
function assign({ at, text }: Wanted, free: PoolRange[], ranges: readonly PoolRange[], gateway: string | undefined) {
  const refuse = (why: string, fix: string) =>
    new CniError(CODE.INVALID_CONFIG, `cannot use ${at} ${JSON.stringify(text.slice(0, 100))}: ${why}; ${fix}`);
  const cidrs = ranges.map(({ pool }) => pool.cidr).join(", ") || "none";
  const ask = `ask for a free address of ${cidrs}, one a range`;
  const address = parse(text);
  if (!address) throw refuse("it is no IP address", "ask for one such as 10.0.0.5");
  const ip = toText(address);
  if (ip === gateway) throw refuse("it is the gateway", `ask for another one of ${cidrs}`);
  const found = free.findIndex(({ range }) => !whyUnusable(range, address));
  if (found >= 0) {
    free.splice(found, 1);
    return ip;
  }
  const inside = ranges.filter(({ range }) => contains(range, address));
  if (inside.length === 0) throw refuse(`it is in no range of this network (${cidrs})`, ask);
  const reasons = inside.map(({ range }) => whyUnusable(range, address));
  throw refuse(reasons.includes(undefined) ? "another address of the same range is asked for too" : reasons[0]!, ask);
}
