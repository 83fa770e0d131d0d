import { toFields } from "./log-fields.ts";
import { type LevelledLog, LOG_LEVELS, type LogLevel } from "./log-level.ts";

/** What a worker thread has to say. It crosses threads, so errors are fields already. */
export interface LogLine {
  readonly level: LogLevel;
  readonly fields: object;
  readonly message: string;
}

/**
 * The log of a worker thread: the main thread has the library, the output and its lock. A library for each of seven threads
 * took 2.5 MB each.
 */
export function threadLog(post: (line: LogLine) => void, level: string): LevelledLog {
  const isOff = (at: LogLevel) => LOG_LEVELS.indexOf(at) < LOG_LEVELS.indexOf(log.level as LogLevel);
  const say = (at: LogLevel) => (fields: object, message: string) => {
    if (!isOff(at)) post({ level: at, fields: withoutErrors(fields), message });
  };
  const log = { level, debug: say("debug"), info: say("info"), warn: say("warn") };
  return log;
}

const withoutErrors = (fields: object): object =>
  Object.fromEntries(Object.entries(fields).map(([key, value]) => [key, toFields(value)]));
