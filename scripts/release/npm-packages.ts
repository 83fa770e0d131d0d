import { readFileSync } from "node:fs";

/** An npm package of which something is compiled in. */
export interface NpmPackage {
  /** As package-lock.json has it: `node_modules/a/node_modules/b`. */
  readonly key: string;
  readonly name: string;
  readonly version: string;
  readonly license: string | undefined;
  /** SHA-512 of what the registry gave, hexadecimal. */
  readonly sha512: string | undefined;
  /** Keys of those that it asks for itself, and that are compiled in. */
  readonly needs: readonly string[];
}

interface Locked {
  readonly version: string;
  readonly integrity?: string;
  readonly license?: string;
  readonly dependencies?: Readonly<Record<string, string>>;
}

/**
 * What bun compiled in, by the metafile of the build.
 *
 * @throws {Error} when it took a package that the lock file does not name.
 */
export function npmPackages(metafile: string, lockFile: string): NpmPackage[] {
  const inputs = Object.keys(JSON.parse(readFileSync(metafile, "utf8")).inputs);
  const { packages } = JSON.parse(readFileSync(lockFile, "utf8")) as { packages: Record<string, Locked> };
  const keys = new Set(inputs.flatMap((path) => keyOf(path) ?? []));
  return [...keys].toSorted().map((key) => {
    const locked = packages[key];
    if (!locked) throw new Error(`cannot make the SBOM: ${key} is compiled in, and package-lock.json does not name it`);
    const { version, integrity, license } = locked;
    const sha512 = integrity?.startsWith("sha512-")
      ? Buffer.from(integrity.slice(7), "base64").toString("hex")
      : undefined;
    const needs = Object.keys(locked.dependencies ?? {}).flatMap((name) => resolve(key, name, keys) ?? []);
    return { key, name: nameOf(key), version, license, sha512, needs: needs.toSorted() };
  });
}

/** @returns undefined for a file that is no package's. Pure. */
export function keyOf(path: string): string | undefined {
  const at = path.indexOf("node_modules/");
  if (at < 0) return undefined;
  const parts = path.slice(at).split("/");
  const last = parts.lastIndexOf("node_modules");
  return parts.slice(0, last + (parts[last + 1]!.startsWith("@") ? 3 : 2)).join("/");
}

const nameOf = (key: string): string => key.slice(key.lastIndexOf("node_modules/") + "node_modules/".length);

/** As Node.js looks: in the package's own folder, then further up. */
function resolve(from: string, name: string, keys: ReadonlySet<string>): string | undefined {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf("/node_modules/")))) {
    const key = `${at ? `${at}/` : ""}node_modules/${name}`;
    if (keys.has(key)) return key;
    if (!at) return undefined;
  }
}
