import { spawnSync } from "node:child_process";
import { parseArgs } from "node:util";

export interface Options {
  /** Parts of paths: files that contain one of them run. None: all. */
  readonly parts: readonly string[];
  /** What every random test's numbers come from. Default: another one each time; with CI set the tree's own, so that CI says the same of it twice. */
  readonly seed: number;
  /** Loops that keep a processor busy, beside the run. */
  readonly busy: number;
  /** What passes only at its second try is named, and counts as it came out then. */
  readonly toleratesFlaky: boolean;
  /** For each file, in place of its tier's. */
  readonly limitSeconds?: number;
}

/** @throws {Error} with the usage, for what is not an option or not a number. */
export function readOptions(args: readonly string[]): Options {
  const options = {
    seed: { type: "string" },
    busy: { type: "string" },
    limit: { type: "string" },
    "tolerate-flaky": { type: "boolean" },
  } as const;
  const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
  const number = (name: "seed" | "busy" | "limit", least: number) => {
    const text = values[name];
    if (text === undefined) return undefined;
    if (!/^\d{1,10}$/.test(text) || Number(text) < least)
      throw new Error(`--${name} is "${text}": not a whole number from ${least}`);
    return Number(text);
  };
  const limitSeconds = number("limit", 1);
  return {
    parts: positionals,
    seed: number("seed", 0) ?? (process.env["CI"] ? seedOfTree() : Math.floor(Math.random() * 2 ** 31)),
    busy: number("busy", 0) ?? 0,
    toleratesFlaky: values["tolerate-flaky"] ?? false,
    ...(limitSeconds && { limitSeconds }),
  };
}

/** Of what is committed, whatever the commit is called; 1 where git tells of none. */
function seedOfTree(): number {
  const { status, stdout } = spawnSync("git", ["rev-parse", "HEAD^{tree}"], { encoding: "utf8" });
  return status === 0 ? Number.parseInt(stdout.slice(0, 7), 16) : 1;
}
