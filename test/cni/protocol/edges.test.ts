// The process's own environment, stdin and stdout, in both engines. Numbers are those of the checklist in README.md.
import { spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";

const DRIVER = resolve("test/cni/protocol/support/edges-driver.ts");
const ENGINES = { Bun: resolve("node_modules/.bin/bun"), Node: process.execPath } as const;
const MUCH = "0123456789é".repeat(300_000);

interface Row {
  readonly what: string;
  readonly env?: Record<string, string>;
  /** Shell code that runs the driver as "$@". */
  readonly shell?: string;
  /** Pieces of stdin, 300 ms apart, the first one late too. */
  readonly stdin?: readonly string[];
  /** When the test begins to read stdout; -1: it closes it. */
  readonly readAfterMs?: number;
  readonly want: object;
}

const read = (stdin: string) => ({
  length: stdin.length,
  sha256: createHash("sha256").update(stdin).digest("hex"),
});
const good = (stdin: string, more: object = {}) => ({ exit: 0, stderr: "a word\n", json: { ...read(stdin), ...more } });
const ADD = { CNI_COMMAND: "ADD" };
const NON_BLOCKING_STDIN = 'dd iflag=nonblock count=0 status=none; "$@"';
const NON_BLOCKING_STDOUT = 'dd oflag=nonblock count=0 status=none; "$@"';

const ROWS: readonly Row[] = [
  { what: "36: reads megabytes", env: ADD, stdin: [MUCH], want: good(MUCH) },
  { what: "37: reads what comes in pieces", env: ADD, stdin: ["{", "}"], want: good("{}") },
  {
    what: "37: reads what comes in pieces by a pipe that does not block",
    env: ADD,
    stdin: ["{", MUCH, "}"],
    shell: NON_BLOCKING_STDIN,
    want: good(`{${MUCH}}`),
  },
  { what: "38: takes closed stdin for empty", env: ADD, shell: '"$@" <&-', want: good("") },
  {
    what: "38: says why stdin cannot be read",
    env: ADD,
    shell: '"$@" </',
    want: good("", { stdinError: /^EISDIR/ }),
  },
  {
    what: "39: does not read without CNI_COMMAND",
    shell: 'timeout 20 "$@" </dev/ptmx',
    want: { ...good(""), isQuick: true },
  },
  {
    what: "39: does not wait for a person who asks for VERSION",
    env: { CNI_COMMAND: "VERSION" },
    shell: 'timeout 20 "$@" </dev/ptmx', // a terminal at which nobody sits
    want: { ...good(""), isQuick: true },
  },
  {
    what: "21, 144: sees CNI_* alone where no trace is named",
    env: { ...ADD, CNI_FOO: "", CNI: "1", SECRET: "x" },
    want: good("", { env: { ...ADD, CNI_FOO: "" } }),
  },
  {
    what: "144: sees the caller's trace",
    env: { ...ADD, TRACEPARENT: "00-1", TRACESTATE: "", BAGGAGE: "a=b", TRACE: "x" },
    want: good("", { env: { ...ADD, TRACEPARENT: "00-1", TRACESTATE: "", BAGGAGE: "a=b" } }),
  },
  { what: "64: prints megabytes", env: { ...ADD, PAD: "3000000" }, want: good("", { pad: /^x{3000000}$/ }) },
  {
    what: "64: prints megabytes into a pipe that does not block, to a slow reader",
    env: { ...ADD, PAD: "3000000" },
    shell: NON_BLOCKING_STDOUT,
    readAfterMs: 500,
    want: good("", { pad: /^x{3000000}$/ }),
  },
  { what: "63: does not need stderr", env: ADD, shell: '"$@" 2>&-', want: { exit: 0, json: read("") } },
  {
    what: "63: fails when nobody takes its answer",
    env: { ...ADD, PAD: "3000000" },
    readAfterMs: -1,
    want: { exit: 1 },
  },
];

async function run(engine: string, { env = {}, shell = '"$@"', stdin = [], readAfterMs = 0 }: Row) {
  // by env(1), since tap puts itself into the environment of whatever Node a test starts
  const variables = Object.entries(env).map(([key, value]) => `${key}=${value}`);
  const child = spawn("env", [
    "-i",
    `PATH=${process.env.PATH}`,
    ...variables,
    "bash",
    "-c",
    shell,
    "bash",
    engine,
    DRIVER,
  ]);
  const begin = performance.now();
  const closed = new Promise<number | null>((done) => child.once("close", done));
  const [out, err]: [Buffer[], Buffer[]] = [[], []];
  child.stderr.on("data", (piece) => err.push(piece));
  child.stdin.on("error", () => {});
  if (readAfterMs < 0) child.stdout.destroy();
  else void sleep(readAfterMs).then(() => child.stdout.on("data", (piece) => out.push(piece)));
  for (const piece of stdin) {
    await sleep(300);
    child.stdin.write(piece);
  }
  child.stdin.end();
  const exit = await closed;
  const stdout = Buffer.concat(out).toString();
  const json = stdout ? JSON.parse(stdout) : undefined;
  return { exit, stderr: Buffer.concat(err).toString(), json, isQuick: performance.now() - begin < 10_000 };
}

t.jobs = 2;
t.setTimeout(600_000); // a busy machine

for (const [name, engine] of Object.entries(ENGINES))
  for (const row of ROWS)
    t.test(`readRequestFromProcess(), writeResponse() ${row.what}, under ${name}`, async (t) => {
      t.match(await run(engine, row), row.want);
    });
