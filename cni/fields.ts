import { CniError, CODE } from "./protocol/error.ts";

// Typed readers for the fields of a configuration: absent and null are the same, anything unexpected is error 7.
type Fields = object & { readonly [key: string]: unknown };
const field = (from: object, key: string): unknown => (from as Fields)[key] ?? undefined;

/** A string, or undefined when absent. */
export function text(from: object, key: string): string | undefined {
  const value = field(from, key);
  if (value === undefined || typeof value === "string") return value;
  throw invalid(key, value, "want a string");
}

/** A boolean, or undefined when absent. */
export function boolean(from: object, key: string): boolean | undefined {
  const value = field(from, key);
  if (value === undefined || typeof value === "boolean") return value;
  throw invalid(key, value, "want true or false");
}

/** A whole number within limits, or undefined when absent. */
export function integer(from: object, key: string, min: number, max: number): number | undefined {
  const value = field(from, key);
  if (value === undefined) return undefined;
  if (typeof value === "number" && Number.isInteger(value) && value >= min && value <= max) return value;
  throw invalid(key, value, `want a whole number from ${min} to ${max}`);
}

/** One of a few words, or undefined when absent or empty. */
export function oneOf<const W extends string>(from: object, key: string, words: readonly W[]): W | undefined {
  const value = text(from, key);
  if (!value) return undefined;
  if ((words as readonly string[]).includes(value)) return value as W;
  throw invalid(key, value, `want ${words.join(", ")}`);
}

/** Error 7 with field, value and fix. */
export function invalid(key: string, value: unknown, fix: string): CniError {
  const shown = JSON.stringify(value) ?? String(value);
  return new CniError(CODE.INVALID_CONFIG, `cannot use ${key} ${shown}: ${fix}`);
}
