import { xml } from "./junit.ts";
import type { Cell } from "./results.ts";

type Swept = Cell & { readonly sizes: NonNullable<Cell["sizes"]> };

const [WIDTH, HEIGHT, LEFT, BOTTOM] = [540, 260, 46, 26];
/** Of lines, one after the other. */
const COLOURS = ["#1b6ac9", "#c4461b", "#17803d", "#7b3fb5", "#a8780c", "#0f7f8c", "#b02a6b", "#555f70"];

/** Bandwidth by message size, a drawing for each rail, a line for each pair. Empty where sizes were not swept. */
export function curves(cells: readonly Cell[]): string {
  const swept = cells.filter((cell): cell is Swept => (cell.sizes?.length ?? 0) > 1);
  const byRail = Map.groupBy(swept, ({ rail, side }) => `${rail}, ${side}`);
  const drawings = [...byRail].map(([title, lines]) => `<div><h3>${xml(title)}</h3>${drawing(lines)}</div>`);
  if (drawings.length === 0) return "";
  return `<section><h2>By message size</h2><p class="dim">ib_write_bw, Gb/s over bytes of a message, a line for each way</p><div class="maps" id="curves">${drawings.join("")}</div></section>`;
}

function drawing(lines: readonly Swept[]): string {
  const sizes = [...new Set(lines.flatMap(({ sizes }) => sizes.map(({ bytes }) => bytes)))].sort((a, b) => a - b);
  const most = Math.max(...lines.flatMap(({ sizes }) => sizes.map(({ gbps }) => gbps)));
  const [low, high] = [Math.log2(sizes[0]!), Math.log2(sizes.at(-1)!)];
  const x = (bytes: number) => Math.round(LEFT + ((Math.log2(bytes) - low) / (high - low || 1)) * (WIDTH - LEFT - 10));
  const y = (gbps: number) => Math.round(HEIGHT - BOTTOM - (gbps / most) * (HEIGHT - BOTTOM - 12));
  const marks = sizes.filter((_, i) => i % 4 === 0).map((bytes) => `<text x="${x(bytes)}" y="${HEIGHT - 8}" text-anchor="middle">${size(bytes)}</text>`); // biome-ignore format: one row
  const steps = [0, 0.5, 1].map((part) => `<text x="${LEFT - 6}" y="${y(part * most) + 4}" text-anchor="end">${Number((part * most).toPrecision(3))}</text><line x1="${LEFT}" x2="${WIDTH}" y1="${y(part * most)}" y2="${y(part * most)}" stroke="#e3e7ee"/>`); // biome-ignore format: one row
  const paths = lines.slice(0, 64).map(({ from, to, sizes }, i) => {
    const points = sizes.map(({ bytes, gbps }) => `${x(bytes)},${y(gbps)}`).join(" ");
    return `<polyline points="${points}" fill="none" stroke="${COLOURS[i % COLOURS.length]}" stroke-width="1.5"><title>${xml(`${from} → ${to}`)}</title></polyline>`;
  });
  return `<svg width="${WIDTH}" height="${HEIGHT}" viewBox="0 0 ${WIDTH} ${HEIGHT}">${[...steps, ...marks, ...paths].join("")}</svg>`;
}

/** `64`, `4K`, `1M`. */
function size(bytes: number): string {
  if (bytes >= 1 << 20) return `${bytes >> 20}M`;
  return bytes >= 1 << 10 ? `${bytes >> 10}K` : `${bytes}`;
}
