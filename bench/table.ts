/** Rows under a head and a rule, each column as wide as its widest cell. @param isNumber whether a column, from 0, is aligned to the right. */
export function alignTable(
  head: readonly string[],
  lines: readonly (readonly string[])[],
  isNumber: (column: number) => boolean,
): string {
  const widths = head.map((_, i) => Math.max(...[head, ...lines].map((line) => line[i]!.length)));
  return [head, widths.map((width) => "-".repeat(width)), ...lines]
    .map((line) =>
      line
        .map((cell, i) => (isNumber(i) ? cell.padStart(widths[i]!) : cell.padEnd(widths[i]!)))
        .join("  ")
        .trimEnd(),
    )
    .join("\n");
}
