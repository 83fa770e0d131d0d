// Seeds of random tests. All come from one, the run's, which test/run.ts prints and takes by --seed.
import { existsSync, readFileSync } from "node:fs";
import { relative } from "node:path";

/** Seeds that failed once, which run ever after, a line each: path of the test file, seed, when and what it found. Tabs between. */
const KEPT = "test/seeds.tsv";

const RUN_SEED = Number(process.env["RAILNET_SEED"] ?? 1);

/** The test file of this process. */
const file = relative(process.cwd(), process.argv[1] ?? "");

/** FNV-1a, 31 bits. */
function hash(text: string): number {
  let state = 0x811c9dc5;
  for (const byte of Buffer.from(text)) state = Math.imul(state ^ byte, 0x01000193);
  return state >>> 1;
}

/** @returns the same number for the same file in the same run, below 2^31. */
export function fileSeed(of = file, run = RUN_SEED): number {
  return hash(`${run} ${of}`);
}

/** @returns those of this file that failed once, then `fresh` ones of this run. */
export function seedsOf(fresh: number, of = file, list = KEPT): number[] {
  const first = fileSeed(of);
  return [...keptSeeds(of, list), ...Array.from({ length: fresh }, (_, i) => (first + i) % 2 ** 31)];
}

/** For people: what to add to the list. */
export function howToKeep(seed: number): string {
  return `to keep this seed, add to ${KEPT}: ${file}\t${seed}\t${new Date().toISOString().slice(0, 10)}, what it found`;
}

function keptSeeds(of: string, list: string): number[] {
  const lines = existsSync(list) ? readFileSync(list, "utf8").split("\n") : [];
  return lines
    .map((line) => line.split("\t"))
    .filter(([name]) => name === of)
    .map(([, seed]) => Number(seed));
}
