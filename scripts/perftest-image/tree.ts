import { execFileSync } from "node:child_process";
import {
  chmodSync,
  copyFileSync,
  existsSync,
  globSync,
  mkdirSync,
  realpathSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { neededBy } from "../image/tree.ts";

/** What the bench runs in a pod, cli/bench/rdma: perftest, iproute2, iperf3, and what its shell calls. */
const PROGRAMS = ["ib_write_bw", "ib_read_bw", "ib_send_bw", "ib_write_lat", "ibv_devinfo", "ip", "iperf3", "sh", "cat", "grep", "sleep"]; // biome-ignore format: one row
const LIBRARIES = "/lib/x86_64-linux-gnu";
/** Drivers of libibverbs: it looks them up by these files, and loads them by their names. */
const PROVIDERS = ["/etc/libibverbs.d/*.driver", "/usr/lib/x86_64-linux-gnu/libibverbs/*.so"];

/**
 * Makes below `root` the programs, the libraries that they need and libibverbs' drivers, each where Debian has it.
 *
 * @throws {Error} that names what is missing, and its package.
 */
export function makePerftestTree(root: string): void {
  for (const dir of [
    "dev",
    "proc",
    "sys",
    "run",
    "tmp",
    "usr/lib/x86_64-linux-gnu",
    "usr/lib64",
    "usr/bin",
    "usr/sbin",
  ])
    mkdirSync(join(root, dir), { recursive: true });
  chmodSync(join(root, "tmp"), 0o1777);
  for (const dir of ["bin", "sbin", "lib", "lib64"]) symlinkSync(`usr/${dir}`, join(root, dir));
  mkdirSync(join(root, "etc"), { recursive: true });
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/bin/sh\n", { mode: 0o644 });
  const programs = PROGRAMS.map(pathOf);
  const providers = PROVIDERS.flatMap((pattern) => globSync(pattern)).sort();
  if (!providers.some((path) => path.endsWith("mlx5.driver")))
    throw missing("libibverbs' drivers", "ibverbs-providers");
  for (const path of [...programs, ...providers]) put(root, path);
  putLibraries(root, [...programs, ...providers.filter((path) => path.includes(".so"))]);
}

function pathOf(program: string): string {
  const path = ["/usr/bin", "/usr/sbin"].map((dir) => join(dir, program)).find((path) => existsSync(path));
  if (!path) throw missing(program, "perftest, iproute2, iperf3 and ibverbs-utils");
  return path;
}

const missing = (what: string, packages: string) =>
  new Error(`cannot build the image of perftest: no ${what} on this machine; install ${packages}`);

/** Below usr/, to which the older places lead. */
function put(root: string, path: string): void {
  const to = join(root, path.replace(/^\/(lib|lib64)\//, "/usr/$1/"));
  mkdirSync(dirname(to), { recursive: true });
  copyFileSync(realpathSync(path), to);
  if (!path.startsWith("/etc/")) chmodSync(to, 0o755);
}

function putLibraries(root: string, files: readonly string[]): void {
  const needed = new Set(files.flatMap(neededBy));
  for (const name of needed) {
    if (name.startsWith("ld-linux")) continue;
    const path = join(LIBRARIES, name);
    if (!existsSync(path)) throw missing(name, "what it is of");
    for (const further of neededBy(path)) needed.add(further);
    put(root, path);
  }
  const interpreter = /Requesting program interpreter: (\S+)\]/.exec(
    execFileSync("readelf", ["-lW", files[0]!], { encoding: "utf8", env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } }),
  )![1]!;
  put(root, interpreter);
  if (!existsSync(join(root, "usr/lib64", basename(interpreter)))) throw missing(interpreter, "libc6");
}
