/** What a person does not need to read to follow an address. */
const NOISE = /BOOKMARK|leases|events |Lease|<< end|railnet-leader/;

/** A trace without what goes on all the time: times in seconds, one line each. */
export const readable = (lines: readonly string[]): string =>
  lines
    .filter((line) => !NOISE.test(line) || line.includes("VIOLATION"))
    .map((line) => line.replace(/^(\d+)\.(\d+) /, (_, ms) => `${(Number(ms) / 1000).toFixed(2).padStart(9)} `))
    .join("\n");
