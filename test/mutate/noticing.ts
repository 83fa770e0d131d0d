import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** Files with a test that runs alone in a second or two: they need neither executables nor a cluster. */
const PURE = (file: string) => !/^test\/(netns|vm|cluster|bench|mutate)\/|\/live-|cni\/shim\//.test(file);

/** Which tests run the executables, for a change below a folder: the first row that fits. Quick ones first. */
const BY_EXECUTABLE: readonly (readonly [prefix: string, tests: readonly string[]])[] = [
  ["records/", ["power-cut", "journal", "addresses"]],
  ["cni/protocol/", ["bad-input", "process", "results", "add"]],
  ["cni/attachment/", ["add", "del", "check", "journal", "exclusion", "faults"]],
  ["kernel/", ["add", "del", "check", "ipam"]],
  ["cni/", ["add", "del", "check", "gc-status", "bad-input", "exclusion", "faults"]],
  ["ipam/", ["addresses", "power-cut"]],
  ["daemonset/install/", ["install", "power-cut", "upgrade"]],
  ["daemonset/device-plugin/", ["device-plugin"]],
  ["cli/", ["status", "doctor"]],
  ["daemonset/", ["agent", "observation", "status"]],
];

/** Those farther away import nearly everything. */
const MOST_PURE = 15;

/** Test files that can notice a change of each source file: those that import it, the nearest first. */
export function pureTestsOf(root: string): (file: string) => string[] {
  const imports = new Map<string, readonly string[]>();
  const importsOf = (file: string): readonly string[] => {
    const known = imports.get(file);
    if (known) return known;
    const found = read(join(root, file)).map((specifier) => normalize(join(dirname(file), specifier)));
    imports.set(file, found);
    return found;
  };
  const tests = globSync("test/**/*.test.ts", { cwd: root }).filter(PURE).sort();
  const distances = new Map(tests.map((test) => [test, distancesFrom(test, importsOf)]));
  return (file) =>
    tests
      .filter((test) => distances.get(test)!.has(file))
      .sort((a, b) => distances.get(a)!.get(file)! - distances.get(b)!.get(file)!)
      .slice(0, MOST_PURE);
}

/** Test files that run the executables which a source file is part of. */
export function executableTestsOf(file: string): string[] {
  const row = BY_EXECUTABLE.find(([prefix]) => file.startsWith(prefix));
  return (row?.[1] ?? []).map((name) => `test/netns/${name}.test.ts`);
}

function read(file: string): string[] {
  try {
    const text = readFileSync(file, "utf8");
    return [...text.matchAll(/\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g)].map(([, specifier]) => specifier!);
  } catch {
    return [];
  }
}

function distancesFrom(start: string, importsOf: (file: string) => readonly string[]): Map<string, number> {
  const found = new Map([[start, 0]]);
  for (const [file, distance] of found)
    for (const next of importsOf(file)) if (!found.has(next)) found.set(next, distance + 1);
  return found;
}
