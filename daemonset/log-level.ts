import type { Log } from "../cni/host.ts";

/** The lowest level that is logged. Messages and fields are the same at every level. */
export const LOG_LEVELS = ["debug", "info", "warn"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const isLogLevel = (text: unknown): text is LogLevel => LOG_LEVELS.includes(text as LogLevel);

/** A log whose level can be changed while it is in use. */
export interface LevelledLog extends Log {
  level: string;
}
