import { globSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import t from "tap";
import { parseBandwidth, parseLatency, parseSweep } from "../../../cli/bench/rdma/perftest.ts";
import { randomFrom } from "../../../cli/random.ts";
import { howToKeep, seedsOf } from "../../../lab/seed.ts";

const FOLDER = join(import.meta.dirname, "../../bench/perftest");
const golden = (name: string) => readFileSync(join(FOLDER, `${name}.txt`), "utf8");
const GBITS = golden("24.07-bandwidth-gbits");

for (const [test, title] of [
  ["write", "RDMA_Write BW Test"],
  ["read", "RDMA_Read BW Test"],
  ["send", "Send BW Test"],
] as const)
  t.test(`parseBandwidth() reads ${test} under its own title alone`, async (t) => {
    const output = GBITS.replace("RDMA_Write BW Test", title);
    t.same(parseBandwidth(output, test), { gbps: 196.43, mtuBytes: 4096 });
    for (const other of (["write", "read", "send"] as const).filter((one) => one !== test))
      t.throws(() => parseBandwidth(output, other), { message: /its title is not .* \(EBADMSG\)/ });
  });

t.test("parseSweep() reads all sizes of -a, in their order", async (t) => {
  const sizes = parseSweep(golden("25.01-sweep-gbits"));
  t.same(
    sizes.map(({ bytes }) => bytes),
    Array.from({ length: 23 }, (_, i) => 2 ** (i + 1)),
  );
  t.same(sizes.at(-1), { bytes: 8388608, gbps: 392.5 });
  t.same(parseSweep(golden("4.5-bandwidth-gbits")).length, 1);
});

for (const [when, output, message] of [
  ["sizes that do not grow", golden("25.01-sweep-gbits").replace(" 64 ", " 8 "), /sizes do not grow/],
  ["nothing moved", GBITS.replace("196.43", "0.00"), /no row moved anything/],
  ["a run that was cut off", golden("25.01-sweep-gbits").slice(0, -300), /cut off in the result/],
] as const)
  t.test(`parseSweep() refuses ${when}`, async (t) => t.throws(() => parseSweep(output), { message }));

const PARSERS = [
  (output: string) => [parseBandwidth(output).gbps],
  (output: string) => parseSweep(output).map(({ gbps }) => gbps),
  (output: string) => [parseLatency(output).typicalUs, parseLatency(output).p99Us],
];
const MIB = (8 * 2 ** 20) / 1e9;

/** A change that a terminal, a proxy, another version or an enemy could make. */
function spoiled(text: string, random: () => number): string {
  const at = Math.floor(random() * text.length);
  const some = Math.floor(random() * 40);
  const lines = text.split("\n");
  const line = Math.floor(random() * lines.length);
  const changes = [
    () => text.slice(0, at) + text.slice(at + some),
    () => text.slice(0, at),
    () => text.slice(0, at) + "0123456789.-e nan[]%\t\r\0é"[Math.floor(random() * 23)]! + text.slice(at),
    () => text.slice(0, at) + text.slice(at, at + some).repeat(2) + text.slice(at + some),
    () => lines.toSpliced(line, 1).join("\n"),
    () => lines.toSpliced(line, 0, lines[Math.floor(random() * lines.length)]!).join("\n"),
    () => text.replaceAll("\n", "\r\n"),
  ];
  return changes[Math.floor(random() * changes.length)]!();
}

for (const seed of seedsOf(1))
  t.test(
    `what is spoiled is read as it stands there, or refused; never a zero or another error; seed ${seed}`,
    async (t) => {
      const random = randomFrom(seed);
      const texts = globSync(join(FOLDER, "*.txt")).sort();
      let read = 0;
      for (let round = 0; round < 6000; round++) {
        const path = texts[Math.floor(random() * texts.length)]!;
        let output = readFileSync(path, "utf8");
        for (let i = random() * 3; i >= 0; i--) output = spoiled(output, random);
        for (const parse of PARSERS) {
          let figures: number[] = [];
          try {
            figures = parse(output);
          } catch (error) {
            if (/^cannot read perftest's output: .* \(EBADMSG\)$/s.test((error as Error).message)) continue;
            t.fail(`${basename(path)}: ${(error as Error).message}; ${howToKeep(seed)}`);
            return;
          }
          read += figures.length;
          const stands = new Set(output.split(/\s+/).flatMap((word) => [Number(word), Number(word) * MIB]));
          const odd = figures.find((figure) => !(figure > 0 && Number.isFinite(figure) && stands.has(figure)));
          if (odd === undefined) continue;
          t.fail(`${basename(path)}: ${odd} of ${JSON.stringify(output)}; ${howToKeep(seed)}`);
          return;
        }
      }
      t.ok(read > 1000, `${read} figures were read all the same`);
    },
  );
