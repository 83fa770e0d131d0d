import { execFile } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import t from "tap";
import { oddOnes } from "../../cli/bench/rdma/analysis.ts";
import { causesOf } from "../../cli/bench/rdma/causes.ts";
import { failuresOf } from "../../cli/bench/rdma/gates.ts";
import { page } from "../../cli/bench/rdma/page.ts";
import { type BenchEnd, type BenchResults, type Cell, SCHEMA } from "../../cli/bench/rdma/results.ts";
import { sampled, tournament } from "../../cli/bench/rdma/rounds.ts";
import { randomFrom } from "../../cli/random.ts";
import { unlikeSchema } from "../cli/bench/support/schema.ts";

const FOLDER = t.testdir();
const RAILS = ["rail0", "rail1", "rail2", "rail3"];

/** A cluster with a NIC at half its speed, a way that is down, and an error that somebody else wrote. */
function resultsOf(slots: ReturnType<typeof tournament>, n: number): BenchResults {
  const random = randomFrom(1);
  const name = (i: number) => `gpu-${i}`;
  const ends = Array.from({ length: n }, (_, i): BenchEnd => {
    const rails = RAILS.map((rail, r) => [rail, { link: `net${r + 1}`, address: `192.168.${r}.${i}`, device: `mlx5_${r}`, gidIndex: 3, linkMtu: 9000, speed: i === 3 && r === 1 ? 200_000 : 400_000 }]); // biome-ignore format: one row
    return { name: name(i), node: name(i), rails: Object.fromEntries(rails) };
  });
  const cells = RAILS.flatMap((rail) =>
    slots.flat().map(([from, to]): Cell => {
      const cell: Cell = { side: "pod", mode: "alone", test: "write", rail, from: name(from), to: name(to), transport: "rdma" }; // biome-ignore format: one row
      if (rail === "rail2" && from === 0 && to === 1)
        return { ...cell, error: '<script>alert("no")</script> & no route' };
      const gbps = 390 * (0.98 + 0.02 * random()) * (rail === "rail1" && (from === 3 || to === 3) ? 0.5 : 1);
      const sizes = from === 0 && to < 3 ? Array.from({ length: 20 }, (_, i) => ({ bytes: 2 ** (i + 1), gbps: Math.min(gbps, 0.04 * 2 ** i) })) : undefined; // biome-ignore format: one row
      return { ...cell, gbps, mtuBytes: 4096, typicalUs: 1.8, p99Us: 2.2, ...(sizes && { sizes }) };
    }),
  );
  const odd = oddOnes(cells).map((one) => ({ ...one, causes: causesOf(one, ends, cells) }));
  const failures = failuresOf(cells, { minGbps: 370, allowTcp: false });
  const times = { begun: "2026-12-01T03:00:00Z", ended: "2026-12-01T03:20:00Z" };
  return { schema: SCHEMA, ...times, versions: { railnet: "0.1.0", image: "x" }, settings: {}, rails: RAILS, ends, cells, odd, failures }; // biome-ignore format: one row
}

/** The document as a browser has it, scripts off, after it was read. */
async function inBrowser(html: string, picture?: string): Promise<string> {
  const file = join(FOLDER, "page.html");
  writeFileSync(file, html);
  const browser = process.env["CHROMIUM"] ?? "chromium";
  const args = ["--headless", "--no-sandbox", "--disable-gpu", `--user-data-dir=${join(FOLDER, "profile")}`];
  const run = promisify(execFile);
  if (picture) await run(browser, [...args, `--screenshot=${picture}`, "--window-size=1280,2300", `file://${file}`]);
  const { stdout } = await run(browser, [...args, "--dump-dom", `file://${file}`], { maxBuffer: 1 << 28 });
  return stdout;
}

const unescaped = (text: string) => text.replace(/&(amp|lt|gt|quot);/g, (_, name: "amp") => ({ amp: "&", lt: "<", gt: ">", quot: '"' })[name]); // biome-ignore format: one row
const attributes = (tag: string) => Object.fromEntries([...tag.matchAll(/([\w-]+)="([^"]*)"/g)].map(([, name, value]) => [name, unescaped(value!)])); // biome-ignore format: one row

t.setTimeout(180_000);

t.test("results are as docs/bench-rdma.schema.json says", async (t) => {
  const results = resultsOf(tournament(8), 8);
  t.same(unlikeSchema(results), []);
  t.same(unlikeSchema({ ...results, rails: [1], more: 1, cells: [{ ...results.cells[0], gbps: 0 }] }), [
    "/rails/0 is no string",
    "/cells/0/gbps is too small",
    "/more is unknown",
  ]);
});

t.test("page() in a browser: every cell of every heat map is the one of the JSON that is in the page", async (t) => {
  const results = resultsOf(tournament(8), 8);
  const dom = await inBrowser(page(results), process.env["PICTURE"]);
  const inPage = JSON.parse(/<script type="application\/json" id="results">(.*?)<\/script>/s.exec(dom)![1]!);
  t.same(inPage, JSON.parse(JSON.stringify(results)), "the results are in it");
  const shown = [...dom.matchAll(/<table class="heat" data-key="([^"]*)">(.*?)<\/table>/gs)].flatMap(([, key, table]) =>
    [...table!.matchAll(/<td ([^>]*data-from[^>]*)>([^<]*)<\/td>/g)].map(([, tag, text]) => {
      const { "data-from": from, "data-to": to, "data-gbps": gbps, title } = attributes(tag!);
      return { key, from, to, gbps: gbps && Number(gbps), text, title };
    }),
  );
  const wanted = results.cells.map(({ side, mode, test, rail, transport, from, to, gbps, error }) => ({
    ...{ key: [side, mode, test, rail, transport].join(" "), from, to, gbps },
    ...{ text: gbps === undefined ? "failed" : `${Number(gbps.toPrecision(4))}`, title: error },
  }));
  const order = (one: { key?: string | undefined; from?: string | undefined; to?: string | undefined }) => `${one.key} ${one.from} ${one.to}`; // biome-ignore format: one row
  const sorted = <T extends (typeof shown)[number]>(all: readonly T[]) => all.toSorted((a, b) => (order(a) < order(b) ? -1 : 1)); // biome-ignore format: one row
  t.equal(shown.length, 4 * 8 * 7);
  t.same(sorted(shown), sorted(wanted));
  t.match(dom, /<td>gpu-3, rail1: sends and receives slowly \(its NIC, cable or port\?\)<\/td><td>5[01] %<\/td>/);
  t.match(dom, "gpu-3, rail1: speed (Mb/s) is 200000, elsewhere 400000");
  t.match(dom, "rail2: slow from gpu-0 to gpu-1");
  t.match(dom, "&lt;script&gt;alert(", "what others wrote stays text");
  t.equal(dom.match(/<script/g)?.length, 1, "no script but the data");
  t.equal(dom.match(/<polyline/g)?.length, 4 * 2 - 1, "a curve for each way that was swept; one has none");
});

t.test("page() of 1,000 nodes has a row each, with their worst figures", async (t) => {
  const results = resultsOf(sampled(1000, 3, randomFrom(2)), 1000);
  const html = page(results);
  t.ok(html.length < 20e6, `${html.length} bytes`);
  const first = /<table class="heat" data-key="pod alone write rail1 rdma">(.*?)<\/table>/s.exec(html)![1]!;
  t.equal(first.match(/<tr>/g)?.length, 1001);
  const worst = results.cells.filter(({ rail, from }) => rail === "rail1" && from === "gpu-3").map(({ gbps }) => gbps!);
  t.match(first, `<th scope="row">gpu-3</th><td data-from="gpu-3"`);
  t.match(first, `data-gbps="${Math.min(...worst)}"`);
});
