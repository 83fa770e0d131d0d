import pino from "pino";
import type { Log } from "../cni/host.ts";

/** JSON lines on stdout, as the kubelet collects them. No transports: they do not survive bundling. */
export function createLog(level = process.env.RAILNET_LOG_LEVEL ?? "info"): Log {
  return pino({ level, base: null, timestamp: pino.stdTimeFunctions.isoTime }, pino.destination({ fd: 1, sync: true }));
}
