/** A column of a table for people. */
export interface Column<T> {
  readonly title: string;
  readonly of: (row: T) => string | number;
  /** Numbers are right-aligned. */
  readonly isNumber?: boolean;
}

/** Rows under titles, aligned, two spaces between columns, `-` for nothing. Ends with a newline. Pure. */
export function table<T>(columns: readonly Column<T>[], rows: readonly T[]): string {
  const cells = [columns.map(({ title }) => title), ...rows.map((row) => columns.map(({ of }) => shown(of(row))))];
  const widths = columns.map((_, i) => cells.reduce((width, line) => Math.max(width, line[i]!.length), 0));
  const lines = cells.map((line) =>
    line
      .map((cell, i) => padded(cell, widths[i]!, columns[i]!))
      .join("  ")
      .trimEnd(),
  );
  return `${lines.join("\n")}\n`;
}

const padded = <T>(cell: string, width: number, { isNumber }: Column<T>): string =>
  isNumber ? cell.padStart(width) : cell.padEnd(width);

/** Text from others may contain control characters, which would move a terminal's cursor. */
const shown = (value: string | number): string => String(value).replace(/[\x00-\x1f\x7f-\x9f]/g, "?") || "-";

/** `41s`, `12m`, `5h`, `3d`: whole units, as in kubectl; empty for an unknown time. Pure. */
export function age(since: string, nowMs: number): string {
  const seconds = Math.max(0, Math.floor((nowMs - Date.parse(since)) / 1000));
  if (Number.isNaN(seconds)) return "";
  const [size, unit] = UNITS.find(([size]) => seconds >= 2 * size) ?? [1, "s"];
  return `${Math.floor(seconds / size)}${unit}`;
}
const UNITS = [
  [86_400, "d"],
  [3_600, "h"],
  [60, "m"],
] as const;

/** `1 address`, `2 addresses`. */
export const count = (number: number, one: string, many = `${one}s`): string =>
  `${number} ${number === 1 ? one : many}`;
