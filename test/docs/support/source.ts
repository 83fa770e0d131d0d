import { globSync, readFileSync } from "node:fs";

/** The product's own source, one text a file. */
export const sources: ReadonlyMap<string, string> = new Map(
  globSync("{main.ts,{kernel,records,kubernetes,cni,ipam,daemonset,cli}/**/*.{ts,c,h}}")
    .sort()
    .map((path) => [path, readFileSync(path, "utf8")]),
);

export const sourceOf = (path: string): string => {
  const text = sources.get(path);
  if (text === undefined) throw new Error(`cannot find ${path} in the product's source`);
  return text;
};

/** What a pattern's first group finds in all files, or in those of a part, each once and sorted. */
export const found = (pattern: RegExp, within: RegExp = /./): string[] =>
  [
    ...new Set(
      [...sources].flatMap(([path, text]) =>
        within.test(path) ? [...text.matchAll(pattern)].map(([, name]) => name!) : [],
      ),
    ),
  ].sort();

/** The strings of `const NAME = [...]`. @throws {Error} where there is no such list any more. */
export function listIn(path: string, name: string): string[] {
  const body = new RegExp(`const ${name}\\b[^=]*= \\[([^\\]]*)\\]`).exec(sourceOf(path))?.[1];
  if (body === undefined) throw new Error(`cannot find the list ${name} in ${path}`);
  return [...body.matchAll(/"([^"]+)"/g)].map(([, one]) => one!);
}
