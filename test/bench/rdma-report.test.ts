import t from "tap";
import type { Failed, Measured } from "../../bench/rdma/measure.ts";
import { type Gates, judge, toRows } from "../../bench/rdma/report.ts";
import { formatTable } from "../../bench/rdma/table.ts";

const one = (rail: string, side: "host" | "pod", gbps: number, more: Partial<Measured> = {}): Measured => ({
  rail,
  side,
  transport: "rdma",
  gbps,
  direction: "a → b",
  mtuBytes: 4096,
  typicalUs: 1.8,
  p99Us: 2.1,
  ...more,
});
const both = (rail: string, host: number, pod: number) => [one(rail, "host", host), one(rail, "pod", pod)];
const NONE: Gates = { allowTcp: false };
const failing = (results: (Measured | Failed)[], gates: Partial<Gates>) =>
  Object.fromEntries(
    judge(results, { ...NONE, ...gates })
      .filter(({ failures }) => failures.length > 0)
      .map(({ rail, failures }) => [rail, failures]),
  );

const sound = [...both("rail0", 196, 195), ...both("rail1", 196, 194)];
const tcp = (side: "host" | "pod", gbps: number) => one("rail0", side, gbps, { transport: "tcp" });

for (const { when, results, gates, want } of [
  { when: "lets sound rails pass", results: sound, gates: { minGbps: 190, maxPodLoss: 2 }, want: {} },
  {
    when: "names the rail that is slow, and the direction",
    results: [...sound, one("rail2", "host", 196), one("rail2", "pod", 96.4, { direction: "b → a" })],
    gates: { minGbps: 190 },
    want: { rail2: ["pod: 96.4 Gb/s < 190 Gb/s (b → a)"] },
  },
  {
    when: "names a host's rail as well",
    results: [...sound, ...both("rail2", 189, 195)],
    gates: { minGbps: 190 },
    want: { rail2: ["host: 189 Gb/s < 190 Gb/s (a → b)"] },
  },
  {
    when: "takes the figure at the gate for good, and just below it for bad",
    results: [...both("rail0", 190, 190), ...both("rail1", 190, 189.99)],
    gates: { minGbps: 190 },
    want: { rail1: ["pod: 189.99 Gb/s < 190 Gb/s (a → b)"] },
  },
  {
    when: "names the rail whose pod loses too much",
    results: [...sound, ...both("rail2", 196, 190)],
    gates: { maxPodLoss: 2 },
    want: { rail2: ["pod loses 3.1 % > 2 %"] },
  },
  {
    when: "fails a rail that could not be measured, without any gate",
    results: [...sound, one("rail2", "host", 196), { rail: "rail2", side: "pod" as const, error: "no route" }],
    gates: {},
    want: { rail2: ["pod: no route"] },
  },
  {
    when: "wants the bandwidth with all rails busy, too",
    results: [...sound, one("rail2", "pod", 196, { atOnceGbps: 98 })],
    gates: { minGbps: 190 },
    want: { rail2: ["pod: 98 Gb/s < 190 Gb/s with all rails busy"] },
  },
  {
    when: "never lets TCP meet a gate of RDMA",
    results: [tcp("host", 400), tcp("pod", 400)],
    gates: { minGbps: 190 },
    want: { rail0: ["host: no RDMA device (TCP 400 Gb/s)", "pod: no RDMA device (TCP 400 Gb/s)"] },
  },
  {
    when: "lets TCP meet it where asked to",
    results: [tcp("host", 20)],
    gates: { minGbps: 19, allowTcp: true },
    want: {},
  },
  {
    when: "and fail it",
    results: [tcp("host", 18)],
    gates: { minGbps: 19, allowTcp: true },
    want: { rail0: ["host: 18 Gb/s < 19 Gb/s (a → b)"] },
  },
  {
    when: "never compares TCP with RDMA",
    results: [one("rail0", "host", 196), tcp("pod", 196)],
    gates: { maxPodLoss: 5, allowTcp: true },
    want: { rail0: ["pod and host were measured by different transports: no loss to compare"] },
  },
])
  t.test(`judge() ${when}`, async (t) => t.same(failing(results, gates), want));

t.test("judge() notes the odd one out and TCP, which fail nothing", async (t) => {
  const reports = judge([...sound, ...both("rail2", 196, 98), ...both("rail3", 196, 195)], NONE);
  t.same(
    reports.map(({ notes }) => notes),
    [[], [], ["pod: 50 % of the other rails (a → b)"], []],
  );
  t.same(judge([tcp("pod", 9)], NONE)[0]?.notes, ["pod: TCP, no RDMA device"]);
});

t.test("toRows() has a row a figure, with its unit and transport, and keeps transports apart", async (t) => {
  const rows = toRows(judge(both("rail0", 200, 190), { ...NONE, minGbps: 180 }), { ...NONE, minGbps: 180 });
  t.same(rows, [
    {
      ...{ case: "rail0/bandwidth", railnet: 190, peer: 200, ratio: 0.95, against: "host", unit: "Gb/s" },
      ...{ transport: "rdma", bar: "≥ 180 Gb/s", kept: true },
    },
    ...(["typical", "p99"] as const).map((name) => ({
      ...{ case: `rail0/latency-${name}`, railnet: name === "p99" ? 2.1 : 1.8, peer: name === "p99" ? 2.1 : 1.8 },
      ...{ ratio: 1, against: "host", unit: "µs", transport: "rdma" },
    })),
  ]);
  const mixed = toRows(judge([one("rail0", "host", 196), tcp("pod", 9)], NONE), NONE);
  t.match(
    mixed.filter(({ unit }) => unit === "Gb/s"),
    [
      { case: "rail0/bandwidth", railnet: null, peer: 196, ratio: null, transport: "rdma" },
      { case: "rail0/tcp-bandwidth", railnet: 9, peer: null, ratio: null, transport: "tcp" },
    ],
  );
});

t.test("toRows() has a row, not kept, for a rail without any figure", async (t) => {
  const gates = { ...NONE, minGbps: 1 };
  const failed: Failed[] = [{ rail: "rail0", side: "pod", error: "no route" }];
  t.match(toRows(judge(failed, gates), gates), [
    { case: "rail0/bandwidth", railnet: null, peer: null, ratio: null, kept: false, error: "pod: no route" },
  ]);
});

t.test("formatTable() lines up and says of each rail what is wrong", async (t) => {
  const gates = { ...NONE, minGbps: 190 };
  const results = [
    ...both("rail0", 196.42, 195.9),
    ...both("rail1", 196.1, 98.05),
    one("rail2", "host", 196),
    { rail: "rail2", side: "pod" as const, error: "pod perf/b has no address on net3: is it up?" },
  ];
  t.equal(
    formatTable(judge(results, gates)),
    [
      "rail   host Gb/s  pod Gb/s  loss %  µs typical  p99   MTU  verdict",
      "-----  ---------  --------  ------  ----------  ---  ----  -------------------------------------------------------------------------------",
      "rail0      196.4     195.9     0.3         1.8  2.1  4096  ok",
      "rail1      196.1     98.05    50.0         1.8  2.1  4096  FAILED pod: 98.05 Gb/s < 190 Gb/s (a → b); pod: 50 % of the other rails (a → b)",
      "rail2        196         -       -           -    -     -  FAILED pod: pod perf/b has no address on net3: is it up?",
    ].join("\n"),
  );
});
