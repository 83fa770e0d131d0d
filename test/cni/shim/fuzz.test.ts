import { execFile, execFileSync, spawnSync } from "node:child_process";
import { globSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import * as fc from "../../../lab/properties.ts";
import { FakeAgent } from "./support/fake-agent.ts";
import { readFull, Shim } from "./support/shim.ts";

const SECONDS = 20;
const LIMIT_MS = 300;
t.setTimeout(600_000);

const hasClang = spawnSync("clang-14", ["--version"]).status === 0;
const skip = hasClang || process.env["CI"] ? false : "clang-14 is missing";

t.test(`libFuzzer finds nothing in ${SECONDS} s`, { timeout: 120_000, skip }, async (t) => {
  const dir = mkdtempSync(join(tmpdir(), "shim-fuzz-"));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  const run = promisify(execFile)(join(import.meta.dirname, "fuzz/run.sh"), [`${SECONDS}`], { cwd: dir });
  const { stderr } = await run;
  const units = Number(/executed_units: (\d+)/.exec(stderr)?.[1]);
  t.ok(units > 1000, `${units} inputs`);
});

/** The shim with everything that ASan and UBSan can see; their findings are exit status 66. */
function sanitize(shim: Shim): void {
  const sources = globSync(join(import.meta.dirname, "../../../cni/shim/*.c"));
  const flags = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-g", "-std=gnu17", "-D_GNU_SOURCE"];
  execFileSync("gcc", [...flags, ...shim.macros, "-o", shim.path("railnet-sriov"), ...sources]);
}

const text = fc.string({ unit: "binary", maxLength: 40 }).map((s) => s.replaceAll("\0", ""));
const variable = fc.tuple(fc.constantFrom("CNI_ARGS", "CNI_", "CNI_IFNAME", "HOME"), text);
const header = fc.tuple(
  fc.constantFrom(0, 1, 255, 256, 2 ** 32 - 1),
  fc.constantFrom(0, 1, 9, 2 ** 24 + 1, 2 ** 32 - 1),
);
const call = fc.record({
  verb: fc.oneof(fc.constantFrom("ADD", "DEL", "VERSION"), text),
  env: fc.array(variable, { maxLength: 4 }),
  stdin: fc.uint8Array({ maxLength: 200 }),
  header: fc.oneof(
    header.map(([exit, length]) => Buffer.from(Uint32Array.of(exit, length).buffer)),
    fc.uint8Array({ maxLength: 7 }),
  ),
  body: fc.uint8Array({ maxLength: 20 }),
  closes: fc.boolean(),
});

t.test("shim, sanitized, ends in time with a reply, an error or the full binary", { timeout: 120_000 }, async (t) => {
  using shim = new Shim({ addMs: LIMIT_MS, otherMs: LIMIT_MS, refusedMs: 100 });
  sanitize(shim);
  const property = fc.asyncProperty(call, async ({ verb, env, stdin, header, body, closes }) => {
    const reply = Buffer.concat([header, body]);
    await using _agent = await FakeAgent.listen(shim.socket, (s) => (closes ? s.end(reply) : s.write(reply)));
    const variables = {
      ...Object.fromEntries(env),
      CNI_COMMAND: verb,
      UBSAN_OPTIONS: "exitcode=66",
      ASAN_OPTIONS: "exitcode=66:detect_leaks=0",
    };
    const run = await shim.run({ env: variables, stdin: Buffer.from(stdin) });
    if (run.stderr) throw new Error(run.stderr);
    if (run.ms > 5000) throw new Error(`took ${run.ms} ms`);
    const isLate = run.ms >= LIMIT_MS && run.exit === 1 && run.stdout.includes('"code":11');
    if (isLate) return true; // on a busy machine also with a whole reply
    const [exit, length] = reply.length < 8 ? [-1, 0] : [reply.readUInt32LE(0), reply.readUInt32LE(4)];
    const whole = verb && exit >= 0 && exit < 256 && length <= body.length;
    if (whole) return run.exit === exit && run.stdout.equals(Buffer.from(body.subarray(0, length)));
    return (
      readFull(run.stdout)?.stdin.equals(stdin) ?? (JSON.parse(run.stdout.toString()).code === 11 && run.exit === 1)
    );
  });
  await t.resolves(fc.assert(property, { numRuns: 100 }));
});
