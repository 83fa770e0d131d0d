import { existsSync, rmdirSync, rmSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { syncFile } from "../../records/durable.ts";
import { ALIASES, type Alias, type InstallPaths, isShim, PLUGINS } from "./paths.ts";
import { isSameFile, placeExecutable, type StepHook, sweepTemporaries } from "./place.ts";

/** What an installer or uninstaller changed, for people: `/opt/cni/bin/railnet-sriov`. */
export interface Changes {
  readonly placed: string[];
  readonly removed: string[];
}

/**
 * Puts the full executable and the shim on the node, the shim also under the names in `aliases`. Another program's
 * executable of such a name is kept for uninstall; a name that is no longer an alias gets it back.
 * The full executable comes first: a shim never finds an older one than itself.
 *
 * @param from directory with `railnet` and `railnet-shim`.
 */
export function placeExecutables(
  from: string,
  paths: InstallPaths,
  aliases: readonly Alias[],
  step: StepHook,
): Changes {
  const [railnet, shim] = ["railnet", "railnet-shim"].map((name) => requireFile(join(from, name))) as [string, string];
  const changes: Changes = { placed: [], removed: [] };
  const place = (source: string, path: string) => {
    if (placeExecutable(source, path, step)) changes.placed.push(path);
  };
  for (const dir of [paths.executables, paths.plugins]) sweepTemporaries(dir);
  place(railnet, join(paths.executables, "railnet"));
  place(shim, join(paths.executables, "railnet-shim"));
  for (const name of PLUGINS) place(shim, join(paths.plugins, name));
  for (const name of ALIASES)
    if (aliases.includes(name)) {
      keep(name, paths);
      place(shim, join(paths.plugins, name));
    } else if (giveBack(name, paths)) changes.removed.push(join(paths.plugins, name));
  return changes;
}

/** Reverses it. Anything that is not ours stays. */
export function removeExecutables(paths: InstallPaths): Changes {
  const changes: Changes = { placed: [], removed: [] };
  const remove = (path: string) => {
    if (existsSync(path)) changes.removed.push(path);
    rmSync(path, { force: true });
  };
  for (const dir of [paths.executables, paths.plugins]) sweepTemporaries(dir);
  for (const name of ALIASES) if (giveBack(name, paths)) changes.removed.push(join(paths.plugins, name));
  for (const name of PLUGINS) remove(join(paths.plugins, name));
  if (existsSync(paths.plugins)) syncFile(paths.plugins); // no power cut brings back a shim without an executable
  for (const name of ["railnet-shim", "railnet"]) remove(join(paths.executables, name)); // the shim finds it until the end
  for (const dir of [paths.replaced, paths.executables, dirname(paths.executables)]) removeIfEmpty(dir);
  return changes;
}

function requireFile(path: string): string {
  if (statSync(path, { throwIfNoEntry: false })?.isFile()) return path;
  throw new Error(`cannot install: ${path} is missing; name a folder that has railnet and railnet-shim, such as dist`);
}

/** Copies first, then renames over it: there is always one under the name. */
function keep(name: Alias, { plugins, replaced }: InstallPaths): void {
  const path = join(plugins, name);
  if (!existsSync(path) || isShim(path)) return;
  placeExecutable(path, join(replaced, name));
}

/** @returns false if the name is not ours. */
function giveBack(name: Alias, { plugins, replaced }: InstallPaths): boolean {
  const [path, kept] = [join(plugins, name), join(replaced, name)];
  if (!isShim(path)) {
    if (existsSync(path) && existsSync(kept) && isSameFile(kept, path)) rmSync(kept); // given back before a power cut
    return false;
  }
  if (existsSync(kept)) placeExecutable(kept, path);
  else rmSync(path);
  rmSync(kept, { force: true });
  return true;
}

export function removeIfEmpty(dir: string): void {
  try {
    rmdirSync(dir);
  } catch {} // it does not exist, or contains something else
}
