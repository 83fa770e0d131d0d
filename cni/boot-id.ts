import { readFileSync } from "node:fs";

/** Changes at each reboot. */
export const readBootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
