import { execFileSync } from "node:child_process";
import { realpathSync } from "node:fs";

/** A Debian package of which a file is in the image, or linked into one. */
export interface DebianPackage {
  readonly name: string;
  readonly version: string;
  readonly architecture: string;
}

const ask = (program: string, ...args: string[]): string =>
  execFileSync(program, args, { encoding: "utf8", env: { ...process.env, LC_ALL: "C" } }).trim();

/** The package that a file of this machine is of. @throws {Error} when it is of none. */
export function packageOf(path: string): DebianPackage {
  const owner = ask("dpkg-query", "--search", path).split(": ")[0]!;
  const format = ["Package", "Version", "Architecture"].map((field) => `\${${field}}`).join(" ");
  const [name, version, architecture] = ask("dpkg-query", "--show", `--showformat=${format}`, owner).split(" ");
  return { name: name!, version: version!, architecture: architecture! };
}

/** What a compiler links a static executable with: the C library and its own. */
export function staticLibraries(compiler: string): DebianPackage[] {
  const paths = ["libc.a", "libgcc.a"].map((name) => realpathSync(ask(compiler, `-print-file-name=${name}`)));
  return paths.map(packageOf);
}
