// Changes the product in one small way after the other and runs what should notice: npm run mutate -- --help
import { globSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import yargs from "yargs";
import { hideBin } from "yargs/helpers";
import { Checkout } from "./checkout.ts";
import { type Mutation, mutationsOf } from "./mutations.ts";
import { sample } from "./sample.ts";
import { Trial } from "./trial.ts";

const project = resolve(import.meta.dirname, "../..");
const { count, seed, pure, min, _: paths } = await yargs(hideBin(process.argv))
  .scriptName("npm run mutate --")
  .usage("$0 [PATH…]\n\nMakes small changes to the committed source, one at a time, and runs the tests that should notice each.")
  .option("count", { type: "number", default: 60, describe: "mutations to try" })
  .option("seed", { type: "number", default: 1, describe: "of the choice: the same seed chooses the same" })
  .option("pure", { type: "boolean", default: false, describe: "run only the tests that need no executables" })
  .option("min", { type: "number", default: 0, describe: "per cent that must be noticed in every area, or exit 1" })
  .example("$0", "60 anywhere")
  .example("$0 ipam/store daemonset/addresses --count 200 --seed 7", "where addresses change hands")
  .strictOptions()
  .parse(); // biome-ignore format: an option a line

const flat = (text: string) => text.replace(/\s+/g, " ");
const short = (text: string) => (flat(text).length > 140 ? `${flat(text).slice(0, 140)}…` : flat(text));
const keyOf = ({ file, was, text }: Mutation) => [file, flat(was), flat(text)].join("\t");
/** Rows of equivalent.tsv without their reason. */
const equivalent = new Set(
  readFileSync(join(import.meta.dirname, "equivalent.tsv"), "utf8")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.split("\t").slice(0, 3).join("\t")),
);
/** The folder, two deep: `ipam/store`. */
const areaOf = ({ file }: Mutation) => file.split("/").slice(0, -1).slice(0, 2).join("/") || file;

using checkout = new Checkout(project);
const files = globSync("{main.ts,{kernel,records,kubernetes,cni,ipam,daemonset,cli,library}/**/*.ts}", {
  cwd: checkout.dir,
})
  .filter((file) => paths.length === 0 || paths.some((path) => file.startsWith(`${path}`)))
  .sort();
const all = files
  .flatMap((file) => mutationsOf(file, checkout.read(file)))
  .filter((one) => !equivalent.has(keyOf(one)));
const trial = new Trial(checkout, pure);
const counted: { readonly mutation: Mutation; readonly isNoticed: boolean }[] = [];

for (const mutation of sample(all, all.length, seed)) {
  if (counted.length >= count) break;
  const begin = performance.now();
  const { outcome, by } = await trial.judge(mutation);
  if (outcome === "does not compile") continue;
  counted.push({ mutation, isNoticed: outcome === "noticed" });
  const { file, line, kind, was, text } = mutation;
  const seconds = ((performance.now() - begin) / 1000).toFixed(0);
  console.log(
    `${String(counted.length).padStart(3)}  ${by ? "noticed " : "SURVIVED"}  ${file}:${line}  ${kind}  (${by ? `${by}, ` : ""}${seconds} s)`,
  );
  if (!by) console.log(`       - ${short(was)}\n       + ${short(text) || "(nothing)"}`);
}

let worst = 100;
console.log(`\nseed ${seed}: ${counted.length} of ${all.length} mutations of ${files.length} files`);
for (const [area, mine] of [...Map.groupBy(counted, ({ mutation }) => areaOf(mutation))].sort()) {
  const noticed = mine.filter(({ isNoticed }) => isNoticed).length;
  worst = Math.min(worst, (100 * noticed) / mine.length);
  console.log(`${area.padEnd(28)} ${`${noticed} of ${mine.length}`.padStart(10)} noticed`);
}
process.exitCode = worst < min ? 1 : 0;
