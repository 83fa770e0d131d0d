import { readFile } from "node:fs/promises";
import type { Log } from "../cni/host.ts";
import { isLogLevel, LOG_LEVELS, type LogLevel } from "./log-level.ts";
import { repeat } from "./loop.ts";

export interface LogLevelOptions {
  /** Key `logLevel` of the mounted ConfigMap. */
  readonly file: string;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Default 5 s: the kubelet itself takes up to a minute to update a changed ConfigMap. */
  readonly everyMs?: number;
}

/**
 * Sets the level that a file names, whenever its text changes: at the start, and while the agent runs. Without the file,
 * `set` is called with undefined, for the initial level. Polls, since the kubelet swaps directories.
 */
export async function followLogLevel(
  { file, log, signal, everyMs = 5_000 }: LogLevelOptions,
  set: (level: LogLevel | undefined) => void,
): Promise<void> {
  let before = "";
  await repeat("log level", { everyMs, signal, log }, async () => {
    const text = await read(file);
    if (text !== before) apply(text, file, log, set);
    before = text;
  });
}

function apply(text: string, file: string, log: Log, set: (level: LogLevel | undefined) => void): void {
  if (text === "") set(undefined);
  else if (isLogLevel(text)) set(text);
  else log.warn({ file, logLevel: text.slice(0, 40), want: LOG_LEVELS.join(", ") }, "unknown log level: ignored");
}

/** Empty without the file. */
const read = (file: string): Promise<string> =>
  readFile(file, "utf8").then(
    (text) => text.trim(),
    () => "",
  );
