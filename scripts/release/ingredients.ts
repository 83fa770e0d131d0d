import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { type Architecture, libraryFolders, makeTree } from "../image/tree.ts";
import { packageOf, staticLibraries } from "./debian-packages.ts";
import { type NpmPackage, npmPackages } from "./npm-packages.ts";
import type { ImageFile, ImagePart, Ingredients } from "./sbom.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const LOCK = join(PROJECT, "package-lock.json");
/** Whose linker makes the shim, and which package has the runtime. */
const TOOLS: Readonly<Record<Architecture, { machine: string; bun: string }>> = {
  amd64: { machine: "x86_64", bun: "@oven/bun-linux-x64" },
  arm64: { machine: "aarch64", bun: "@oven/bun-linux-aarch64" },
};

/** What the image of one architecture is made of; `digest`: of its manifest. */
export function imagePart(dist: string, architecture: Architecture, digest: string): ImagePart {
  const { machine, bun } = TOOLS[architecture];
  const compiler =
    execFileSync("uname", ["-m"], { encoding: "utf8" }).trim() === machine ? "gcc" : `${machine}-linux-gnu-gcc`;
  return {
    architecture,
    digest,
    files: imageFiles(dist, architecture),
    linked: staticLibraries(compiler),
    bun: runtime(bun),
  };
}

/** Each file once, whatever its names. */
function imageFiles(dist: string, architecture: Architecture): ImageFile[] {
  const root = mkdtempSync(join(tmpdir(), "railnet-sbom-"));
  try {
    makeTree(root, dist, architecture);
    const seen = new Set<number>();
    const paths = readdirSync(root, { recursive: true, withFileTypes: true })
      .filter((one) => one.isFile())
      .map(({ parentPath, name }) => join(parentPath, name))
      .toSorted(byMainName);
    const first = paths.filter((path) => !seen.has(statSync(path).ino) && seen.add(statSync(path).ino));
    return first.toSorted().map((path) => ({
      path: path.slice(root.length + 1),
      sha256: createHash("sha256").update(readFileSync(path)).digest("hex"),
      from: originOf(path, architecture),
    }));
  } finally {
    rmSync(root, { recursive: true });
  }
}

/** Of hard links the name that says what it is. */
const MAIN_NAMES = ["railnet", "railnet-shim"];
const byMainName = (a: string, b: string): number =>
  Number(MAIN_NAMES.includes(basename(b))) - Number(MAIN_NAMES.includes(basename(a)));

/** Libraries are copies of this machine's. */
function originOf(path: string, architecture: Architecture): ImageFile["from"] {
  if (!/\/lib(64)?\//.test(path)) return undefined;
  const found = libraryFolders(architecture)
    .map((folder) => join(folder, basename(path)))
    .find((one) => existsSync(one));
  return found ? packageOf(found) : undefined;
}

/** @throws {Error} when the lock file does not name it. */
function runtime(name: string): NpmPackage {
  const key = `node_modules/${name}`;
  const locked = JSON.parse(readFileSync(LOCK, "utf8")).packages[key];
  if (!locked) throw new Error(`cannot make the SBOM: package-lock.json does not name ${name}`);
  const sha512 = Buffer.from(locked.integrity.replace("sha512-", ""), "base64").toString("hex");
  return { key, name, version: locked.version, license: locked.license, sha512, needs: [] };
}

/** All that a release is made of, as far as dist/ and this machine say. */
export function ingredients(
  dist: string,
  image: Pick<Ingredients, "digest" | "repository" | "version" | "parts">,
): Ingredients {
  return {
    ...image,
    npm: npmPackages(join(dist, "railnet.meta.json"), LOCK),
    nodeVersion: process.versions.node,
    commit: commit(),
  };
}

function commit(): Ingredients["commit"] {
  try {
    const git = (...args: string[]) =>
      execFileSync("git", ["-C", PROJECT, ...args], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
    const [id, seconds] = git("log", "-1", "--format=%H %ct").split(" ");
    const isChanged = git("status", "--porcelain", "--untracked-files=no") !== "";
    return {
      id: `${id}${isChanged ? "-dirty" : ""}`,
      time: new Date(Number(seconds) * 1000).toISOString().replace(".000", ""),
    };
  } catch {
    return undefined; // an unpacked archive
  }
}
