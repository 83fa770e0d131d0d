// Changes the product in one small way after the other and runs what should notice: npm run mutate -- --help
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { Checkout } from "./checkout.ts";
import { compiling } from "./compiling.ts";
import { keyOf, type Lines, linesOf } from "./lines.ts";
import { type Mutation, mutationsOf } from "./mutations.ts";
import { TIERS } from "./noticing.ts";
import { sample } from "./sample.ts";
import { Trial } from "./trial.ts";

const project = resolve(import.meta.dirname, "../..");
const { count, seed, upTo, min, minutes, _: paths } = await yargs(hideBin(process.argv))
  .scriptName("npm run mutate --")
  .usage("$0 [PATH|FILE:LINE…]\n\nMakes small changes to the committed source, one at a time, and runs the tests that should notice each.")
  .option("count", { type: "number", default: 60, describe: "mutations to try" })
  .option("seed", { type: "number", default: 1, describe: "of the choice: the same seed chooses the same" })
  .option("up-to", { choices: TIERS, default: TIERS.at(-1)!, describe: "the last tier of tests that is asked" })
  .option("minutes", { type: "number", default: 30, describe: "after so many no other mutation is tried" })
  .option("min", { type: "number", default: 0, describe: "per cent that must be noticed in every area, or exit 1" })
  .example("$0", "60 anywhere")
  .example("$0 ipam/store daemonset/addresses --count 200 --minutes 120 --seed 7", "where addresses change hands")
  .strictOptions()
  .parse(); // biome-ignore format: an option a line

interface Tried {
  readonly mutation: Mutation;
  readonly lines: Lines;
  readonly isNoticed: boolean;
}

/** Rows of equivalent.tsv without their reason. */
const equivalent = new Set(
  readFileSync(join(import.meta.dirname, "equivalent.tsv"), "utf8")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.split("\t").slice(0, 3).join("\t")),
);
/** The folder, two deep: `ipam/store`. */
const areaOf = ({ mutation: { file } }: Tried) => file.split("/").slice(0, -1).slice(0, 2).join("/") || file;
const short = (text: string) => (text.length > 160 ? `${text.slice(0, 160)}…` : text);

using checkout = new Checkout(project, seed);
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    checkout[Symbol.dispose]();
    process.exit(1);
  });
const files = globSync("{main.ts,{kernel,records,kubernetes,cni,ipam,daemonset,cli,library}/**/*.ts}", {
  cwd: checkout.dir,
})
  .filter((file) => paths.length === 0 || paths.some((path) => file.startsWith(`${path}`.replace(/:\d+$/, ""))))
  .sort();
/** Of `FILE:LINE` only what is on that line. */
const isMeant = ({ file, line }: Mutation) =>
  paths.length === 0 ||
  paths.some((path) => (/:\d+$/.test(`${path}`) ? path === `${file}:${line}` : file.startsWith(`${path}`)));
const all = files.flatMap((file) => {
  const source = checkout.read(file);
  return mutationsOf(file, source)
    .filter(isMeant)
    .map((mutation) => ({ mutation, lines: linesOf(source, mutation) }))
    .filter(({ mutation, lines }) => !equivalent.has(keyOf(mutation, lines)));
});
const lines = new Map(all.map((one) => [one.mutation, one.lines]));
const trial = new Trial(checkout, upTo);
const tried: Tried[] = [];
const until = performance.now() + minutes * 60_000;

const chosen = sample([...lines.keys()], all.length, seed);
for await (const mutation of compiling(chosen, (some) => checkout.misfits(some))) {
  if (tried.length >= count || performance.now() > until) break;
  const begin = performance.now();
  const { outcome, by, asked } = await trial.judge(mutation);
  const one = { mutation, lines: lines.get(mutation)!, isNoticed: outcome === "noticed" };
  tried.push(one);
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  const how = one.isNoticed ? `noticed   ${where(one)}  ${by}` : told(one, `${asked} asked`);
  console.log(`${String(tried.length).padStart(3)}  ${how}, ${seconds} s`);
}

let worst = 100;
console.log(`\nseed ${seed}, up to ${upTo}: ${tried.length} of ${all.length} mutations of ${files.length} files`);
for (const [area, mine] of [...Map.groupBy(tried, areaOf)].sort()) {
  const survivors = mine.filter(({ isNoticed }) => !isNoticed);
  const noticed = mine.length - survivors.length;
  worst = Math.min(worst, (100 * noticed) / mine.length);
  console.log(`${area.padEnd(28)} ${`${noticed} of ${mine.length}`.padStart(10)} noticed`);
  for (const one of survivors) console.log(`     ${told(one, "nobody noticed")}`);
}
process.exitCode = worst < min ? 1 : 0;

function where({ mutation: { file, line, kind } }: Tried): string {
  return `${file}:${line}  ${kind}`;
}

function told(one: Tried, why: string): string {
  return `SURVIVED  ${where(one)}\n       - ${short(one.lines.was)}\n       + ${short(one.lines.is)}\n       ${why}`;
}
