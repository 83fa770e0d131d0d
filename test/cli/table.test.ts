import t from "tap";
import { age, count, table } from "../../cli/table.ts";

t.test("table() aligns text to the left and numbers to the right, without trailing spaces", async (t) => {
  const columns = [
    { title: "POOL", of: (row: { pool: string; used: number; note: string }) => row.pool },
    { title: "USED", of: (row: { pool: string; used: number; note: string }) => row.used, isNumber: true },
    { title: "NOTE", of: (row: { pool: string; used: number; note: string }) => row.note },
  ];
  const rows = [
    { pool: "rail0-10.10.0.0-16", used: 5, note: "x" },
    { pool: "r", used: 12345, note: "" },
  ];
  t.equal(
    table(columns, rows),
    "POOL                 USED  NOTE\nrail0-10.10.0.0-16      5  x\nr                   12345  -\n",
  );
});

t.test("table() shows no control characters of what others wrote", async (t) => {
  const text = table([{ title: "POD", of: (row: string) => row }], ["default/\u001b[2Jx\n\u009b1m"]);
  t.equal(text, "POD\ndefault/?[2Jx??1m\n");
});

t.test("table() of no rows is its titles", async (t) => {
  t.equal(
    table(
      [
        { title: "A", of: () => "" },
        { title: "B", of: () => "" },
      ],
      [],
    ),
    "A  B\n",
  );
});

for (const { since, want } of [
  { since: "2026-01-10T00:00:00Z", want: "0s" },
  { since: "2026-01-09T23:58:01Z", want: "119s" },
  { since: "2026-01-09T23:58:00Z", want: "2m" },
  { since: "2026-01-09T22:00:01Z", want: "119m" },
  { since: "2026-01-09T22:00:00Z", want: "2h" },
  { since: "2026-01-08T00:00:00Z", want: "2d" },
  { since: "2026-01-10T00:00:05Z", want: "0s" },
  { since: "", want: "" },
  { since: "yesterday", want: "" },
])
  t.test(`age() of ${JSON.stringify(since)} is ${JSON.stringify(want)}`, async (t) =>
    t.equal(age(since, Date.parse("2026-01-10T00:00:00Z")), want),
  );

t.test("count() knows one from many", async (t) => {
  t.equal(count(1, "pool"), "1 pool");
  t.equal(count(0, "pool"), "0 pools");
  t.equal(count(2, "address", "addresses"), "2 addresses");
});
