import { globSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";

/** What a test file needs, the cheapest first. */
export const TIERS = ["pure", "simulation", "netns", "cluster"] as const;
export type Tier = (typeof TIERS)[number];

/** One thing to run that may notice a change. */
export interface Judge {
  /** As it is told, and known by. */
  readonly name: string;
  readonly tier: Tier;
  /** Arguments of node. */
  readonly args: readonly string[];
  /** Whether it runs the executables, so that they are to be built first. */
  readonly isOfExecutables: boolean;
  /** Whether V8's coverage shows what it runs: not of what it runs under Bun, nor of modules that are rewritten as they load. */
  readonly isCovered: boolean;
}

/** Needs neither executables nor a cluster; the `live-*` of the kernel need root. */
const isPure = (file: string) => !/^test\/(netns|vm|cluster|bench|mutate|simulation)\/|cni\/shim\//.test(file);
/** Has a real API server, and the product's own code in its process: what imports a file can notice a change of it. */
const isOfApiServer = (file: string) => /^test\/cluster\/(store|kubernetes|addresses)\//.test(file);

/** What the simulated cluster runs of the product; seeds that everybody knows to be red are left out. */
const IS_SIMULATED = /^(ipam\/|daemonset\/addresses\/|records\/|kubernetes\/(informer|watch|lease|unchanged))/;
const SIMULATION: Judge = {
  name: "the simulation, 200,000 steps",
  tier: "simulation",
  args: [
    ...["--import", "./lab/simulation/hooks.ts", "lab/simulation/main.ts", "--first-only"],
    ...["--from", "1", "--count", "1000", "--without", "58,142,215,241", "--steps", "200000"],
  ],
  isOfExecutables: false,
  isCovered: false,
};

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

/** Of those with an API server, which take half a minute each. */
const MOST_OF_API_SERVER = 3;

/** @returns of a source file, what may notice a change of it: tests that import it, those of its own room and the nearest first; the cheap tiers first. */
export function judgesOf(root: string): (file: string) => Judge[] {
  const importsOf = importsBelow(root);
  const tests = globSync("test/**/*.test.ts", { cwd: root }).sort();
  const distances = new Map(
    tests.filter((test) => isPure(test) || isOfApiServer(test)).map((test) => [test, distancesFrom(test, importsOf)]),
  );
  const nearest = (file: string, isMeant: (test: string) => boolean) =>
    [...distances]
      .filter(([test, found]) => isMeant(test) && found.has(file))
      .sort(([a, nearA], [b, nearB]) => isOfRoom(b, file) - isOfRoom(a, file) || nearA.get(file)! - nearB.get(file)!)
      .map(([test]) => test);
  const spawns = (test: string) =>
    [...distances.get(test)!.keys()].some((one) => one.startsWith("test/") && spawned(join(root, one)).length > 0);
  return (file) => [
    ...nearest(file, isPure).map((test) => ({ ...judge(test, "pure"), isCovered: !spawns(test) })),
    ...(IS_SIMULATED.test(file) ? [SIMULATION] : []),
    ...executableTestsOf(file).map((test) => judge(test, "netns")),
    ...nearest(file, isOfApiServer)
      .slice(0, MOST_OF_API_SERVER)
      .map((test) => judge(test, "cluster")),
  ];
}

/** Tests mirror the folders of the source. */
const isOfRoom = (test: string, file: string): number => Number(dirname(test) === `test/${dirname(file)}`);

const judge = (test: string, tier: Tier): Judge => ({
  name: test,
  tier,
  args: [test],
  isOfExecutables: tier === "netns",
  isCovered: true,
});

/** Test files that run the executables which a source file is part of. */
function executableTestsOf(file: string): string[] {
  const row = BY_EXECUTABLE.find(([prefix]) => file.startsWith(prefix));
  return (row?.[1] ?? []).map((name) => `test/netns/${name}.test.ts`);
}

function importsBelow(root: string): (file: string) => readonly string[] {
  const imports = new Map<string, readonly string[]>();
  return (file) => {
    const known = imports.get(file);
    if (known) return known;
    const path = join(root, file);
    const found = [...read(path), ...spawned(path)].map((specifier) => normalize(join(dirname(file), specifier)));
    imports.set(file, found);
    return found;
  };
}

const read = (file: string): string[] => found(file, /\b(?:from|import)\s*\(?\s*"(\.[^"]+\.ts)"/g);

/** What a test runs in a process of its own: `join(import.meta.dirname, "support/locker.ts")`. */
const spawned = (file: string): string[] => found(file, /import\.meta\.dirname, "([^"]+\.ts)"/g);

function found(file: string, what: RegExp): string[] {
  try {
    return [...readFileSync(file, "utf8").matchAll(what)].map(([, specifier]) => specifier!);
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
