import { execFileSync } from "node:child_process";
import { chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { rootCertificates } from "node:tls";

/** As OCI and Go name it. */
export type Architecture = "amd64" | "arm64";

interface Platform {
  /** Of the ELF interpreter's and the libraries' place in Debian. */
  readonly triplet: string;
  /** Relative to dist/. */
  readonly railnet: string;
  readonly shim: string;
  /** Where this machine keeps libraries of that architecture. */
  readonly libraries: readonly string[];
}

const PLATFORMS: Readonly<Record<Architecture, Platform>> = {
  amd64: {
    triplet: "x86_64-linux-gnu",
    railnet: "railnet",
    shim: "railnet-shim-x86_64",
    libraries: ["/lib/x86_64-linux-gnu", "/usr/x86_64-linux-gnu/lib"],
  },
  arm64: {
    triplet: "aarch64-linux-gnu",
    railnet: "arm64/railnet",
    shim: "railnet-shim-aarch64",
    libraries: ["/lib/aarch64-linux-gnu", "/usr/aarch64-linux-gnu/lib"],
  },
};

/** Where this machine keeps libraries of that architecture. */
export const libraryFolders = (architecture: Architecture): readonly string[] => PLATFORMS[architecture].libraries;

/** Under these names the executable is a plugin, and the shim the agent's helper, and the kubelet's. */
const RAILNET_NAMES = ["railnet", "railnet-sriov", "railnet-ipam"];
const SHIM_NAMES = ["railnet-shim", "railnet-host-exec", "railnet-probe"];

/**
 * Makes below `root` all that the image holds: the executables, the libraries they need, certificates, and what
 * programs expect of any system. Nothing that runs on its own, no shell.
 *
 * @param dist what scripts/build.sh made.
 * @throws {Error} that names the file that is missing.
 */
export function makeTree(root: string, dist: string, architecture: Architecture): void {
  const { railnet, shim, ...libraries } = PLATFORMS[architecture];
  for (const dir of ["dev", "proc", "sys", "run", "tmp", "var"]) mkdirSync(join(root, dir), { recursive: true });
  chmodSync(join(root, "tmp"), 0o1777);
  symlinkSync("../run", join(root, "var/run")); // hosts name namespaces and device-info files either way
  put(root, "etc/passwd", "root:x:0:0:root:/:/usr/bin/railnet\n");
  put(root, "etc/ssl/certs/ca-certificates.crt", `${rootCertificates.join("\n")}\n`);
  putExecutable(root, join(dist, railnet), RAILNET_NAMES);
  putExecutable(root, join(dist, shim), SHIM_NAMES);
  putLibraries(root, join(dist, railnet), libraries);
}

function put(root: string, path: string, text: string): void {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text, { mode: 0o644 });
}

/** One file with hard links: the image holds it once. */
function putExecutable(root: string, from: string, [first, ...others]: readonly string[]): void {
  if (!existsSync(from)) throw new Error(`cannot build the image: ${from} is missing; run scripts/build.sh (--arm64)`);
  const bin = join(root, "usr/bin");
  mkdirSync(bin, { recursive: true });
  copyFileSync(from, join(bin, first!));
  chmodSync(join(bin, first!), 0o755);
  for (const name of others) linkSync(join(bin, first!), join(bin, name));
}

/** The interpreter where the executable names it, libraries where the interpreter looks. */
function putLibraries(
  root: string,
  executable: string,
  { triplet, libraries }: Pick<Platform, "triplet" | "libraries">,
) {
  const interpreter = /Requesting program interpreter: (\S+)\]/.exec(readelf("-lW", executable))?.[1];
  if (!interpreter) throw new Error(`cannot build the image: ${executable} names no interpreter`);
  const find = (name: string): string => {
    const found = libraries.map((dir) => join(dir, name)).find((path) => existsSync(path));
    if (!found) throw new Error(`cannot build the image: no ${name} in ${libraries.join(", ")}`);
    return found;
  };
  const needed = new Set(neededBy(executable));
  for (const name of needed) for (const further of neededBy(find(name))) needed.add(further);
  needed.delete(basename(interpreter));
  for (const [path, name] of [
    [interpreter, basename(interpreter)],
    ...[...needed].map((name) => [`/lib/${triplet}/${name}`, name]),
  ] as [string, string][]) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(find(name), join(root, path));
    chmodSync(join(root, path), 0o755);
  }
}

/** Libraries that an ELF file names. */
export const neededBy = (file: string): string[] =>
  [...readelf("-dW", file).matchAll(/\(NEEDED\)\s+Shared library: \[([^\]]+)\]/g)].map(([, name]) => name!);

/** Of binutils: unlike ldd it runs nothing, so it reads any architecture's files. */
function readelf(flags: string, file: string): string {
  return execFileSync("readelf", [flags, file], { encoding: "utf8", env: { PATH: "/usr/bin:/bin", LC_ALL: "C" } });
}
