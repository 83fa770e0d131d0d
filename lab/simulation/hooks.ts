// Given to node by --import: loads the product with the simulation below it, and with a mutation in it.
// Network and API server, an agent's start and the node's heartbeat come in by arguments. What stands here is what nearly every
// module of a program has in hand: as arguments, a clock and a disk would go through some forty constructors for the sake of
// the simulation alone, and leave the product longer. Timers, Date and chance of the platform are replaced in core/globals.ts.
import { registerHooks } from "node:module";

const root = new URL("../../", import.meta.url).href;
const standIns = new URL("./stand-ins/", import.meta.url).href;

const PACKAGES: Readonly<Record<string, string>> = {
  "node:timers/promises": "timers-promises.ts",
  "node:fs": "fs.ts",
};

/** Of the product. Imports bun:ffi. */
const SYSCALL = "kernel/syscall.ts";

/** @returns its path when it is a module of the product. */
function productPath(url: string | undefined): string | undefined {
  if (!url?.startsWith(root)) return undefined;
  const path = url.slice(root.length);
  return /^(lab|test|node_modules)\//.test(path) ? undefined : path;
}

interface Edit {
  readonly file: string;
  readonly from: string;
  readonly to: string;
}

const edits: readonly Edit[] = JSON.parse(process.env["RAILNET_MUTATION"] ?? "[]");

registerHooks({
  resolve(specifier, context, next) {
    if (productPath(context.parentURL) === undefined) return next(specifier, context);
    const standIn = PACKAGES[specifier];
    if (standIn) return { url: `${standIns}${standIn}`, shortCircuit: true };
    const found = next(specifier, context);
    if (productPath(found.url) === SYSCALL) return { url: `${standIns}syscall.ts`, shortCircuit: true };
    return found;
  },
  load(url, context, next) {
    const loaded = next(url, context);
    const path = productPath(url);
    const mine = path === undefined ? [] : edits.filter(({ file }) => file === path);
    if (mine.length === 0) return loaded;
    let source = String(loaded.source);
    for (const { file, from, to } of mine) {
      if (source.split(from).length !== 2) throw new Error(`mutation: ${file} does not have once: ${from}`);
      source = source.replace(from, () => to);
    }
    return { ...loaded, source };
  },
});
