import { curves } from "./curves.ts";
import { xml } from "./junit.ts";
import { type BenchResults, type Cell, type Matrix, matricesOf, type OddOne } from "./results.ts";

/** More ends make no readable matrix: then each has a row of its own. */
const MATRIX_ENDS = 64;

const STYLE = `:root{color-scheme:light;font:14px/1.45 system-ui,sans-serif}body{margin:2rem auto;max-width:76rem;padding:0 1rem;color:#1c2330}
h1{margin:0}h2{margin:2.2rem 0 .6rem}h3{margin:1.2rem 0 .4rem;font-weight:600}p{margin:.3rem 0}.dim{color:#68758a}
table{border-collapse:collapse;font-variant-numeric:tabular-nums}th,td{padding:.25rem .55rem;text-align:right;border:1px solid #e3e7ee}th{font-weight:500;background:#f5f7fa}
th[scope=row]{text-align:left}td.none{background:#f0f0f0;border-color:#e3e7ee}td.failed{background:#3b3f46;color:#fff}.left td,.left th{text-align:left}
.maps{display:flex;flex-wrap:wrap;gap:1.6rem}.bad{color:#a11}.good{color:#17692b}section{overflow-x:auto}svg text{font-size:11px;fill:#4a5568}`;

/** One page that needs nothing else: matrices, curves, latency, what is odd and why; the results themselves are in it. */
export function page(results: BenchResults): string {
  const { ends, begun, versions, cells } = results;
  const body = [
    `<h1>Rails, measured</h1><p class="dim">${xml(`${begun} · railnet ${versions.railnet} · ${ends.length} ends · ${cells.length} figures`)}</p>`,
    verdict(results),
    oddTable(results.odd),
    ...heatMaps(results),
    curves(cells),
    latencies(cells),
    endTable(results),
    `<script type="application/json" id="results">${JSON.stringify(results).replaceAll("<", "\\u003c")}</script>`,
  ];
  return `<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>Rails, measured</title><style>${STYLE}</style></head><body>\n${body.filter(Boolean).join("\n")}\n</body></html>\n`;
}

function verdict({ failures }: BenchResults): string {
  if (failures.length === 0) return '<h2 class="good">Everything was measured, and meets its gates</h2>';
  const rows = failures
    .slice(0, 200)
    .map(({ rail, side, from = "", to = "", why }) => row([rail, side, from, to, why]));
  const more = failures.length > rows.length ? `<p>and ${failures.length - rows.length} more</p>` : "";
  return `<h2 class="bad">Failed: ${failures.length}</h2><table class="left" id="failures"><tr>${heads("rail", "side", "from", "to", "why")}</tr>${rows.join("")}</table>${more}`;
}

function oddTable(odd: readonly OddOne[]): string {
  if (odd.length === 0) return "<h2>Nothing is unlike the rest</h2>";
  const rows = odd.map((one) => row([nameOf(one), `${one.percent} %`, `${one.side}, ${one.test}, ${one.mode}`, one.causes.join("; ") || "nothing that Railnet sees"])); // biome-ignore format: one row
  return `<h2>Unlike the rest</h2><table class="left" id="odd"><tr>${heads("what", "of the others", "measured", "likely cause")}</tr>${rows.join("")}</table>`;
}

/** `node-3, rail1: sends slowly`. */
export function nameOf({ kind, rail, ends, direction }: OddOne): string {
  const how = { sends: "sends slowly", receives: "receives slowly", both: "sends and receives slowly" }[direction];
  if (kind === "rail") return `${rail}: all of it is slower than the other rails (its switch?)`;
  if (kind === "node") return `${ends[0]}: ${how} on all rails (the node?)`;
  if (kind === "node-rail") return `${ends[0]}, ${rail}: ${how} (its NIC, cable or port?)`;
  return `${rail}: slow ${direction === "both" ? `between ${ends.join(" and ")}` : `from ${ends.join(" to ")}`} (the way between them?)`;
}

function heatMaps({ cells, ends }: BenchResults): string[] {
  const groups = Map.groupBy(matricesOf(cells), ({ side, test, mode }) => `${test}, ${side}, ${mode}`);
  const names = ends.map(({ name }) => name);
  return [...groups].map(([title, matrices]) => {
    const maps = matrices.map((matrix) =>
      names.length > MATRIX_ENDS ? perEnd(matrix, names) : heatMap(matrix, names),
    );
    return `<section><h2>${xml(title)}</h2><p class="dim">Gb/s; rows send, columns receive</p><div class="maps">${maps.join("")}</div></section>`;
  });
}

function heatMap(matrix: Matrix, names: readonly string[]): string {
  const byWay = new Map(matrix.cells.map((cell) => [`${cell.from}\0${cell.to}`, cell]));
  const best = bestOf(matrix.cells);
  const rows = names.map((from) => {
    const cells = names.map((to) => heatCell(byWay.get(`${from}\0${to}`), best));
    return `<tr><th scope="row">${xml(from)}</th>${cells.join("")}</tr>`;
  });
  return `<div><h3>${railOf(matrix)}</h3><table class="heat" data-key="${xml(keyOf(matrix))}"><tr><th></th>${heads(...names)}</tr>${rows.join("")}</table></div>`;
}

const railOf = ({ rail, transport }: Matrix): string =>
  xml(`${rail}${transport === "tcp" ? " (TCP: no RDMA device)" : ""}`);
const keyOf = ({ side, mode, test, rail, transport }: Matrix): string => [side, mode, test, rail, transport].join(" ");
const bestOf = (cells: readonly Cell[]): number => cells.reduce((best, { gbps = 0 }) => Math.max(best, gbps), 0);

function heatCell(cell: Cell | undefined, best: number): string {
  if (!cell) return '<td class="none"></td>';
  const way = `data-from="${xml(cell.from)}" data-to="${xml(cell.to)}"`;
  if (cell.gbps === undefined) return `<td class="failed" ${way} title="${xml(cell.error ?? "")}">failed</td>`;
  return `<td ${way} data-gbps="${cell.gbps}" style="background:${colour(cell.gbps / best)}">${shown(cell.gbps)}</td>`;
}

/** Green for the best, red for half of it and less. */
const colour = (part: number): string => `hsl(${Math.round(130 * Math.max(0, 2 * part - 1))} 62% 84%)`;
const shown = (value: number): string => `${Number(value.toPrecision(4))}`;

function perEnd(matrix: Matrix, names: readonly string[]): string {
  const best = bestOf(matrix.cells);
  const worst = (cells: readonly Cell[] | undefined) => cells?.toSorted((a, b) => (a.gbps ?? 0) - (b.gbps ?? 0))[0];
  const [sent, received] = [Map.groupBy(matrix.cells, ({ from }) => from), Map.groupBy(matrix.cells, ({ to }) => to)];
  const rows = names.map((name) => `<tr><th scope="row">${xml(name)}</th>${heatCell(worst(sent.get(name)), best)}${heatCell(worst(received.get(name)), best)}</tr>`); // biome-ignore format: one row
  return `<div><h3>${railOf(matrix)}</h3><table class="heat" data-key="${xml(keyOf(matrix))}"><tr><th></th>${heads("worst sent", "worst received")}</tr>${rows.join("")}</table></div>`;
}

function latencies(cells: readonly Cell[]): string {
  const rows = cells.filter(({ typicalUs }) => typicalUs !== undefined).slice(0, 500);
  if (rows.length === 0) return "";
  const lines = rows.map(({ rail, side, from, to, typicalUs, p99Us, mtuBytes }) => row([rail, side, from, to, shown(typicalUs!), shown(p99Us!), `${mtuBytes ?? ""}`])); // biome-ignore format: one row
  return `<section><h2>Latency</h2><p class="dim">µs, half a round trip of 2 bytes</p><table class="left" id="latency"><tr>${heads("rail", "side", "from", "to", "typical", "p99", "RoCE MTU")}</tr>${lines.join("")}</table></section>`;
}

function endTable({ ends, rails }: BenchResults): string {
  const lines = ends.flatMap((end) =>
    rails.map((rail) => {
      const { link = "", address = "", device = "", gidIndex = "", linkMtu = "", speed = "", pcie = "", firmware = "", grown = {} } = end.rails[rail] ?? {}; // biome-ignore format: one row
      const counters = Object.entries(grown).map(([name, by]) => `${name} +${by}`);
      return row([end.name, rail, link, address, device, `${gidIndex}`, `${linkMtu}`, `${speed}`, pcie, firmware, end.error ?? counters.join(", ")]); // biome-ignore format: one row
    }),
  );
  return `<section><h2>What was measured with</h2><table class="left" id="ends"><tr>${heads("node", "rail", "link", "address", "device", "GID", "MTU", "Mb/s", "PCIe", "firmware", "counters that grew")}</tr>${lines.slice(0, 1000).join("")}</table></section>`;
}

const heads = (...names: readonly string[]): string => names.map((name) => `<th>${xml(name)}</th>`).join("");
const row = (cells: readonly string[]): string => `<tr>${cells.map((cell) => `<td>${xml(cell)}</td>`).join("")}</tr>`;
