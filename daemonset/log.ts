import pino from "pino";
import { toFields } from "./log-fields.ts";
import type { LevelledLog } from "./log-level.ts";

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
