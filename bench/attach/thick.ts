import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = "/sys/fs/cgroup";
const MEMORY = 50 << 20;

/** Cgroups with the limits of Multus' own DaemonSet, under which a thick Multus runs its delegates: 100m CPU, 50Mi. */
export interface ThickCgroup extends Disposable {
  /** Files to write a process id to. */
  readonly files: readonly string[];
}

export function thickCgroup(name = `railnet-bench-${process.pid}`): ThickCgroup {
  const version1 = existsSync(join(ROOT, "memory"));
  const dirs = version1 ? [join(ROOT, "memory", name), join(ROOT, "cpu", name)] : [join(ROOT, name)];
  for (const dir of dirs) mkdirSync(dir);
  const [first, second = first] = dirs as [string, string?];
  if (version1) {
    writeFileSync(join(first, "memory.limit_in_bytes"), `${MEMORY}`);
    writeFileSync(join(second, "cpu.cfs_period_us"), "100000");
    writeFileSync(join(second, "cpu.cfs_quota_us"), "10000");
  } else {
    writeFileSync(join(first, "memory.max"), `${MEMORY}`);
    writeFileSync(join(first, "cpu.max"), "10000 100000");
  }
  return {
    files: dirs.map((dir) => join(dir, "cgroup.procs")),
    [Symbol.dispose]: () => {
      for (const dir of dirs) rmdirSync(dir);
    },
  };
}
