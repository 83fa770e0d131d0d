import { readdirSync } from "node:fs";
import { arch } from "node:os";
import { VERSION } from "../version.ts";
import { type Family, single } from "./family.ts";

const STARTED_SECONDS = Math.round(Date.now() - performance.now()) / 1000;

/** The process itself, under the names that all Prometheus clients use, and the build. */
export function processFamilies(): Family[] {
  const { user, system } = process.cpuUsage();
  return [
    {
      name: "railnet_build_info",
      help: "Always 1; its labels say which build runs",
      type: "gauge",
      values: [{ labels: { version: VERSION, runtime: `bun ${process.versions["bun"] ?? ""}`.trim(), arch: arch() }, value: 1 }], // biome-ignore format: one row
    },
    single("counter", "process_cpu_seconds_total", "Processor time, user and system", (user + system) / 1e6),
    single("gauge", "process_resident_memory_bytes", "Resident memory", process.memoryUsage.rss()),
    single("gauge", "process_start_time_seconds", "Start, seconds since 1970", STARTED_SECONDS),
    single("gauge", "process_open_fds", "Open descriptors", readdirSync("/proc/self/fd").length),
  ];
}
