import { execFileSync } from "node:child_process";
import { copyFileSync, linkSync } from "node:fs";
import { join, resolve } from "node:path";

const project = resolve(import.meta.dirname, "../..");

/** Where scripts/build.sh --test puts the executables with fault injection. */
const dist = process.env["RAILNET_TEST_DIST"] ?? join(project, "dist/test");

/** Milliseconds of the limits in cni/shim/limits.h; absent ones stay as in production. */
export type ShimLimits = Readonly<Partial<Record<"ADD" | "OTHER" | "REFUSED", number>>>;

/** The full binary under its names. Links, so that a concurrent build changes nothing. */
export function installFull(opt: string): void {
  for (const name of ["railnet", "railnet-sriov", "railnet-ipam"])
    try {
      linkSync(join(dist, "railnet"), join(opt, name));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
      copyFileSync(join(dist, "railnet"), join(opt, name));
    }
}

/** The shim, as railnet-sriov in `bin`: compiled for this directory, since it takes no paths from its environment. */
export function installShim(dir: string, bin: string, ms: ShimLimits): void {
  const paths = {
    SOCKET: "run/agent.sock",
    HEALTH_SOCKET: "run/health.sock",
    EXEC_LOCK: "run/exec.lock",
    BINARY: "opt/railnet",
  };
  const macros = [
    ...Object.entries(paths).map(([key, path]) => `-DRAILNET_${key}="${join(dir, path)}"`),
    ...Object.entries(ms).map(([key, value]) => `-DRAILNET_${key}_MS=${value}`),
  ];
  execFileSync(join(project, "cni/shim/build.sh"), [bin, process.arch === "arm64" ? "aarch64" : "x86_64"], {
    env: { ...process.env, CFLAGS: macros.join(" ") },
  });
  for (const name of ["railnet-sriov", "railnet-ipam", "railnet-probe"])
    linkSync(join(bin, "railnet-shim"), join(bin, name));
}
