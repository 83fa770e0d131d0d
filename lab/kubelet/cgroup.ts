import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where the machine's cgroup hierarchies are mounted: one of version 2, or one for each controller. */
function hierarchies(): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .filter((line) => / - cgroup2? /.test(line))
    .map((line) => line.split(" ")[4]!);
}

/** Creates a group of this name in every hierarchy. */
export function makeGroup(name: string): void {
  for (const root of hierarchies()) {
    mkdirSync(join(root, name), { recursive: true });
    // A group of version 1 starts without processors, and then accepts no process.
    for (const file of ["cpuset.mems", "cpuset.cpus"])
      if (existsSync(join(root, file))) writeFileSync(join(root, name, file), readFileSync(join(root, file)));
  }
}

/** A command that runs `command` in this group: a process that starts containers must be in its node's. */
export function inGroup(name: string, command: readonly string[]): string[] {
  const files = hierarchies().map((root) => {
    const init = join(root, name, "init"); // version 2: the group itself hands its controllers down
    return join(existsSync(init) ? init : join(root, name), "cgroup.procs");
  });
  return ["sh", "-c", `${files.map((file) => `echo $$ > '${file}'`).join(" && ")} && exec "$@"`, "sh", ...command];
}

/** Removes the group with everything below it. @returns false while a process is left in it. */
export function removeGroup(name: string): boolean {
  return hierarchies().every((root) => removeTree(join(root, name)));
}

function removeTree(dir: string): boolean {
  if (!existsSync(dir)) return true;
  const below = readdirSync(dir, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  if (!below.map(({ name }) => removeTree(join(dir, name))).every(Boolean)) return false;
  try {
    rmdirSync(dir);
    return true;
  } catch {
    return false;
  }
}
