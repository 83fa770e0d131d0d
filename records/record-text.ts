/** Of every record that this release writes. */
const VERSION = 1;

/** A record of a release after this one, which somebody went back from: not torn, and not ours to read or to move. */
export class LaterVersionError extends SyntaxError {
  override readonly name = "LaterVersionError";
}

/** Without the bytes of a line whose size was on the disk at a power cut, and whose content was not. */
function withoutZeros(line: string): string {
  let end = line.length;
  while (line[end - 1] === "\0") end--;
  return line.slice(0, end);
}

/**
 * A record as it is written: a line of JSON, then a line for each change. A change that is not whole never got on the
 * disk: the state before it holds. What a power cut left of one may also be zeros, the line break among them.
 *
 * @throws {LaterVersionError}
 * @throws {SyntaxError} when the first line is no whole object, or the version is none that we read.
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
