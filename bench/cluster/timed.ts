import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildInterleave, interleave } from "../attach/interleave.ts";
import { median } from "../attach/report.ts";

/** One call of a plugin, as timed.c writes it down. */
export interface Call {
  readonly plugin: string;
  readonly verb: string;
  readonly container: string;
  readonly ifname: string;
  readonly exit: number;
  readonly ms: number;
}

/** Compiles what stands in a plugin's place and times it; static, as little as a program can be. */
export function buildTimed(to: string): void {
  const source = join(import.meta.dirname, "timed.c");
  execFileSync("gcc", ["-std=gnu17", "-O2", "-Wall", "-Werror", "-static", "-o", to, source]);
}

export function parseCalls(text: string): Call[] {
  return text
    .split("\n")
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Call);
}

/** Milliseconds that a call takes longer because it is timed: they are the pod's, and in no figure of a plugin. */
export function costOfTiming(rounds = 200): number {
  const dir = mkdtempSync(join(tmpdir(), "railnet-timed-"));
  try {
    for (const folder of ["bin", "timed"]) mkdirSync(join(dir, folder));
    buildTimed(join(dir, "bin/true"));
    copyFileSync("/bin/true", join(dir, "timed/true"));
    buildInterleave(join(dir, "interleave"));
    const job = (label: string, path: string) => ({ label, chains: [[{ argv: [join(dir, path)] }]] });
    const jobs = [job("bare", "timed/true"), job("timed", "bin/true")];
    const [bare, timed] = interleave(join(dir, "interleave"), jobs, rounds, 0);
    if (bare!.failed + timed!.failed > 0) throw new Error("cannot measure what timing costs: /bin/true failed");
    return median(timed!.ms) - median(bare!.ms);
  } finally {
    rmSync(dir, { recursive: true });
  }
}
