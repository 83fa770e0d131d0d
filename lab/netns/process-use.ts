import { readFileSync } from "node:fs";

/** What a process of this machine has used so far, proc(5). */
export interface Use {
  readonly cpuSeconds: number;
  readonly residentMb: number;
}

/** Ticks of a second, which Linux has on every machine that Node.js runs on. */
const TICKS = 100;

export function useOf(pid: number): Use {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  const kb = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
  return { cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS, residentMb: Number(kb) / 1024 };
}
