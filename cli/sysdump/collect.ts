import type { Redactor } from "./redact.ts";
import type { TarEntry } from "./tar.ts";

/** One thing to collect. */
export interface Item {
  /** Path of its file in the archive. */
  readonly path: string;
  /** Undefined for what is not on this machine; throws for what cannot be read. */
  read(signal: AbortSignal): Promise<string | Uint8Array | undefined>;
  /** Needs no search for secrets, because it is an archive that was already searched. */
  readonly isArchive?: boolean;
}

/** The outcome of an item; all of them form `sysdump.json`. */
export interface Outcome {
  readonly path: string;
  readonly ms: number;
  readonly bytes?: number;
  readonly error?: string;
  /** It was longer: this is its end. */
  readonly isCut?: true;
}

export interface Limits {
  readonly itemMs: number;
  readonly itemBytes: number;
}

/**
 * Reads item after item. One that cannot be read, or not in time, becomes an outcome and delays nothing.
 *
 * @param write receives each file as it comes.
 */
export async function collect(
  items: Iterable<Item>,
  redactor: Redactor,
  limits: Limits,
  write: (entry: TarEntry) => void,
  onItem: (path: string) => void = () => {},
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const item of items) {
    onItem(item.path);
    const begin = performance.now();
    const since = () => Math.round(performance.now() - begin);
    try {
      const found = await inTime(item, limits.itemMs);
      if (found === undefined) {
        outcomes.push({ path: item.path, ms: since(), error: "not here" });
        continue;
      }
      const whole = contentOf(item, found, redactor); // before truncation: half a secret looks like none
      const isCut = !item.isArchive && whole.length > limits.itemBytes;
      const content = isCut ? lastLines(whole, limits.itemBytes) : whole;
      write({ path: item.path, content });
      outcomes.push({ path: item.path, ms: since(), bytes: content.length, ...(isCut && { isCut: true as const }) });
    } catch (error) {
      outcomes.push({ path: item.path, ms: since(), error: redactor.text((error as Error).message) });
    }
  }
  return outcomes;
}

function contentOf({ isArchive }: Item, found: string | Uint8Array, redactor: Redactor): Uint8Array {
  if (isArchive && typeof found !== "string") return found;
  return Buffer.from(redactor.text(typeof found === "string" ? found : Buffer.from(found).toString("utf8")));
}

/** Complete lines from the end. */
function lastLines(text: Uint8Array, bytes: number): Uint8Array {
  const end = text.subarray(-bytes);
  return end.subarray(end.indexOf(0x0a) + 1);
}

async function inTime({ read }: Item, ms: number): Promise<string | Uint8Array | undefined> {
  const late = new AbortController();
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    late.abort();
    reject(new Error(`took longer than ${ms / 1000} s`));
  }, ms);
  try {
    return await Promise.race([read(late.signal), promise]);
  } finally {
    clearTimeout(timer);
  }
}
