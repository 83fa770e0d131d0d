import pino from "pino";
import type { Log } from "../cni/host.ts";

/** The lowest level that is logged. Messages and fields are the same at every level. */
export const LOG_LEVELS = ["debug", "info", "warn"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const isLogLevel = (text: unknown): text is LogLevel => LOG_LEVELS.includes(text as LogLevel);

/** A log whose level can be changed while it is in use. */
export interface LevelledLog extends Log {
  level: string;
}

/** JSON lines on stdout, as the kubelet collects them. No transports: they do not survive bundling. */
export function createLog(level = process.env.RAILNET_LOG_LEVEL ?? "info"): LevelledLog {
  const options = {
    level,
    base: null,
    timestamp: pino.stdTimeFunctions.isoTime,
    formatters: { level: (label: string) => ({ level: label }) },
    serializers: { err: toFields },
  };
  return pino(options, pino.destination({ fd: 1, sync: true }));
}

/** An error's message, which includes its causes. A stack only for a defect of the program itself. */
function toFields(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  const { name: type, message, stack } = error;
  const { code, status } = error as { code?: unknown; status?: unknown };
  const isDefect = error instanceof TypeError || error instanceof RangeError || error instanceof ReferenceError;
  return { type, message, ...(code ? { code } : {}), ...(status ? { status } : {}), ...(isDefect && { stack }) };
}
