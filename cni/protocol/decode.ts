import { CniError, CODE } from "./error.ts";
import { canonicalCidr, canonicalIp } from "./ip.ts";
import { spelling } from "./keys.ts";

/**
 * Reads one JSON value; undefined when it is absent; null counts as absent, as in Go's decoder.
 *
 * @param at where it is, such as `prevResult.ips[0].address`.
 * @throws {CniError} 6 for a value of the wrong type, 7 for one of the right type that is not valid.
 */
export type Read<T> = (value: unknown, at: string) => T | undefined;

type Fields<T> = { readonly [K in keyof Required<T>]: Read<Required<T>[K]> };

/** A string; the empty one counts as absent, as the reference library writes it. */
export const text: Read<string> = (value, at) => {
  if (isAbsent(value) || value === "") return undefined;
  if (typeof value !== "string") throw undecodable(at, value, "a string");
  return value;
};

/** `true` or `false`. */
export const flag: Read<boolean> = (value, at) => {
  if (isAbsent(value)) return undefined;
  if (typeof value !== "boolean") throw undecodable(at, value, "true or false");
  return value;
};

/** A whole number that a float represents exactly: libcni passes every number through one. */
export const integer: Read<number> = (value, at) => {
  if (isAbsent(value)) return undefined;
  if (!Number.isSafeInteger(value)) throw undecodable(at, value, "a whole number");
  return value as number;
};

/** 0 or more: an index, a table. */
export const natural: Read<number> = (value, at) => {
  const number = integer(value, at);
  if (number !== undefined && number < 0) throw undecodable(at, value, "0 or more");
  return number;
};

/** 0 counts as absent, as the reference library writes it. */
export const positive: Read<number> = (value, at) => natural(value, at) || undefined;

/** Any JSON object, as it is. */
export const object: Read<Record<string, unknown>> = (value, at) => {
  if (isAbsent(value)) return undefined;
  if (typeof value !== "object" || Array.isArray(value)) throw undecodable(at, value, "an object");
  return value as Record<string, unknown>;
};

/** An IP address, made canonical. */
export const ip: Read<string> = (value, at) => canonical(value, at, canonicalIp, "an IP address such as 10.0.0.1");

/** An IP address with its prefix length, made canonical. */
export const cidr: Read<string> = (value, at) =>
  canonical(value, at, canonicalCidr, "an address with its prefix length such as 10.0.0.1/24");

export function required<T>(read: Read<T>): (value: unknown, at: string) => T {
  return (value, at) => {
    const found = read(value, at);
    if (found === undefined) throw new CniError(CODE.DECODING_FAILURE, `cannot decode ${at}: it is missing`);
    return found;
  };
}

export function list<T>(read: Read<T>): Read<T[]> {
  return (value, at) => {
    if (isAbsent(value)) return undefined;
    if (!Array.isArray(value)) throw undecodable(at, value, "a list");
    return value.map((item, i) => required(read)(item, `${at}[${i}]`));
  };
}

/** An object with these fields only, their keys in any case: others are dropped. */
export function record<T extends object>(fields: Fields<T>): Read<T> {
  const reads = Object.entries<Read<unknown>>(fields);
  const spell = spelling(...Object.keys(fields));
  return (value, at) => {
    const given = object(value, at);
    if (given === undefined) return undefined;
    const from = spell(given);
    const out: Record<string, unknown> = {};
    for (const [key, read] of reads) {
      const found = read(from[key], `${at}.${key}`);
      if (found !== undefined) out[key] = found;
    }
    return out as T;
  };
}

function canonical(value: unknown, at: string, make: (text: string) => string | undefined, want: string) {
  const given = text(value, at);
  if (given === undefined) return undefined;
  const made = make(given);
  if (made === undefined) throw new CniError(CODE.INVALID_CONFIG, `cannot use ${at} ${show(given)}: want ${want}`);
  return made;
}

const isAbsent = (value: unknown): value is undefined | null => value === undefined || value === null;

function undecodable(at: string, value: unknown, want: string): CniError {
  return new CniError(CODE.DECODING_FAILURE, `cannot decode ${at}: want ${want}, got ${show(value)}`);
}

function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  const whole = JSON.stringify(value);
  return whole.length > 100 ? `${whole.slice(0, 100)}…` : whole;
}
