import { readFileSync } from "node:fs";

/** Another one after each reboot. */
export const readBootId = (): string => readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
