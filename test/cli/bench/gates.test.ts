import t from "tap";
import { type BenchGates, failuresOf, readBaseline } from "../../../cli/bench/rdma/gates.ts";
import { junit } from "../../../cli/bench/rdma/junit.ts";
import { type BenchResults, type Cell, SCHEMA } from "../../../cli/bench/rdma/results.ts";

const cell = (gbps: number | undefined, more: Partial<Cell> = {}): Cell => ({
  ...{ side: "pod", mode: "alone", test: "write", rail: "rail0", from: "a", to: "b", transport: "rdma" },
  ...(gbps !== undefined && { gbps }),
  ...more,
});
const back = { from: "b", to: "a" } as const;
const why = (cells: readonly Cell[], gates: Partial<BenchGates>) =>
  failuresOf(cells, { allowTcp: false, ...gates }).map(({ rail, from, to, why }) => `${rail} ${from} → ${to}: ${why}`);

for (const { when, cells, gates, want } of [
  { when: "lets sound rails pass", cells: [cell(196), cell(195, back)], gates: { minGbps: 190, maxSpread: 2 }, want: [] },
  { when: "fails what could not be measured, without any gate", cells: [cell(undefined, { error: "no route" })], gates: {}, want: ["rail0 a → b: no route"] },
  { when: "takes the figure at the gate for good, and just below it for bad", cells: [cell(190), cell(189.99, back)], gates: { minGbps: 190 }, want: ["rail0 b → a: 189.99 Gb/s < 190 Gb/s"] },
  { when: "asks all rails at once for as much", cells: [cell(98, { mode: "at-once" })], gates: { minGbps: 190 }, want: ["rail0 a → b: write, at-once: 98 Gb/s < 190 Gb/s"] },
  { when: "asks one of many senders for nothing", cells: [cell(20, { mode: "incast" })], gates: { minGbps: 190 }, want: [] },
  { when: "names a pod that loses too much", cells: [cell(196, { side: "host" }), cell(190)], gates: { maxPodLoss: 2 }, want: ["rail0 a → b: pod loses 3.1 % of the host's 196 Gb/s > 2 %"] },
  { when: "wants a host beside the pod", cells: [cell(190)], gates: { maxPodLoss: 2 }, want: ["rail0 a → b: no host beside it to compare with"] },
  { when: "never compares TCP with RDMA", cells: [cell(196, { side: "host" }), cell(190, { transport: "tcp" })], gates: { maxPodLoss: 2, allowTcp: true }, want: ["rail0 a → b: pod and host were measured by different transports: no loss to compare"] },
  { when: "never lets TCP meet a gate of RDMA", cells: [cell(400, { transport: "tcp" })], gates: { minGbps: 190 }, want: ["rail0 a → b: no RDMA device (TCP 400 Gb/s)"] },
  { when: "lets TCP meet it where asked to", cells: [cell(400, { transport: "tcp" })], gates: { minGbps: 190, allowTcp: true }, want: [] },
  { when: "names the worst pair of a rail that is uneven", cells: [cell(200), cell(150, back), cell(100, { rail: "rail1" })], gates: { maxSpread: 20 }, want: ["rail0 b → a: alone: 150 Gb/s is 25.0 % below the best pair (a → b, 200 Gb/s) > 20 %"] },
  { when: "names what became slower, and takes a new node as it is", cells: [cell(180), cell(50, { from: "c" })], gates: { baseline: { cells: [cell(200)], maxLoss: 5 } }, want: ["rail0 a → b: 180 Gb/s, 10.0 % below the baseline's 200 Gb/s"] },
])
  t.test(`failuresOf() ${when}`, async (t) => t.same(why(cells, gates), want)); // biome-ignore format: rows

t.test("readBaseline() takes what --json wrote, and says what else it was given", async (t) => {
  t.same(readBaseline(JSON.stringify({ schema: SCHEMA, cells: [cell(1)] }), "f"), [cell(1)]);
  t.throws(() => readBaseline("{", "f"), { message: /cannot compare with f: it is not JSON; want what/ });
  t.throws(() => readBaseline('{"rows": []}', "f"), { message: /its schema is undefined/ });
  t.throws(() => readBaseline("null", "f"), { message: /its schema is undefined/ });
  t.throws(() => readBaseline(JSON.stringify({ schema: SCHEMA }), "f"), { message: /it has no cells/ });
});

t.test("junit() has a case for each way, each failure once, and escapes what others wrote", async (t) => {
  const cells = [
    cell(196),
    cell(undefined, { ...back, error: 'no <route> & "x"\x1b' }),
    cell(190, { mode: "at-once" }),
  ];
  const results = { begun: "2026-12-01T00:00:00Z", cells, failures: failuresOf(cells, { allowTcp: false }) } as unknown as BenchResults; // biome-ignore format: one row
  const text = junit(results);
  t.equal(text.match(/<testcase /g)?.length, 3);
  t.equal(text.match(/<failure /g)?.length, 1);
  t.match(text, /<testsuite name="rail0 pod write alone" timestamp="2026-12-01T00:00:00Z" tests="2" failures="1">/);
  t.match(text, '<failure message="no &#60;route&#62; &#38; &#34;x&#34;?"/>');
});
