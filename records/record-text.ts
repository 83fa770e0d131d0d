/** Written into every record by this release. */
const VERSION = 1;

/** A record of a later release, from which this node was rolled back: not torn, and not ours to read or to move. */
export class LaterVersionError extends SyntaxError {
  override readonly name = "LaterVersionError";
}

/** Strips the zeros of a line whose length reached the disk before a power cut, but whose content did not. */
function withoutZeros(line: string): string {
  let end = line.length;
  while (line[end - 1] === "\0") end--;
  return line.slice(0, end);
}

/**
 * A record as written: a line of JSON, then a line for each change. A change that is not complete never reached the disk:
 * the state before it holds. A power cut may also leave zeros in its place, including the line break.
 *
 * @throws {LaterVersionError}
 * @throws {SyntaxError} when the first line is not a complete object, or has a version that we cannot read.
 */
export function parseRecord(text: string): Record<string, unknown> {
  const [first = "", ...changes] = text.split("\n").map(withoutZeros);
  const original: unknown = JSON.parse(first);
  if (typeof original !== "object" || original === null) throw new SyntaxError("not an object");
  const record: Record<string, unknown> = Object.assign({}, original, ...changes.map(parseChange));
  const { version } = record;
  if (Number(version) > VERSION) throw new LaterVersionError(`version ${version} is of a later release`);
  if (version !== VERSION) throw new SyntaxError(`unknown version ${String(version)}`);
  return record;
}

function parseChange(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}
