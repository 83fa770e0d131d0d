/** Prints rows in a frame. @param head empty: rows only. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = head.length > 0 ? [head, ...rows] : rows;
  const widths = all[0]!.map((_, i) => Math.max(...all.map((row) => row[i]!.length)));
  const line = ([left, middle, right]: readonly [string, string, string]) =>
    console.log(`  ${left}${widths.map((width) => "─".repeat(width + 2)).join(middle)}${right}`);
  line(["┌", "┬", "┐"]);
  for (const row of all) {
    console.log(`  │ ${row.map((cell, i) => cell.padEnd(widths[i]!)).join(" │ ")} │`);
    if (row === head) line(["├", "┼", "┤"]);
  }
  line(["└", "┴", "┘"]);
}
