import { execFileSync } from "node:child_process";
import { existsSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Directories of worlds begin so, then comes the process that made them. */
const PREFIX = "railnet-world-";

export const worldPrefix = (): string => join(tmpdir(), `${PREFIX}${process.pid}-`);

/** Removes what test processes left that were killed before they could clean up. */
export function sweep(): void {
  for (const name of readdirSync(tmpdir())) {
    const pid = name.startsWith(PREFIX) ? name.slice(PREFIX.length).split("-")[0] : undefined;
    if (pid === undefined || existsSync(`/proc/${pid}`)) continue;
    const dir = join(tmpdir(), name);
    for (const line of execFileSync("findmnt", ["-rno", "TARGET"], { encoding: "utf8" }).split("\n"))
      if (line.startsWith(`${dir}/`)) execFileSync("umount", ["-l", line]);
    rmSync(dir, { recursive: true, force: true });
  }
}
