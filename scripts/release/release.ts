// release.ts [--repository NAME] [--changelog FILE] [--dist FOLDER] [--out FOLDER]: makes a release of what scripts/build.sh --arm64 built. Run by scripts/release.sh.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  cpSync,
  createReadStream,
  globSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { printTable } from "../demo/table.ts";
import { buildImage, REPOSITORY } from "../image/build.ts";
import type { Architecture } from "../image/tree.ts";
import { buildPerftestImage } from "../perftest-image/build.ts";
import { tarGz } from "./archive.ts";
import { imagePart, ingredients } from "./ingredients.ts";
import { readNotes, readVersion } from "./notes.ts";
import { sbom } from "./sbom.ts";

const PROJECT = new URL("../../", import.meta.url).pathname;
const ARCHITECTURES: readonly Architecture[] = ["amd64", "arm64"];

interface Options {
  readonly dist: string;
  readonly out: string;
  readonly changelog: string;
  readonly repository: string;
}

/** Makes it beside `out` and then puts it in its place: half a release is never there. */
async function release({ dist, out, changelog, repository }: Options): Promise<void> {
  const version = readVersion();
  const notes = readNotes(changelog, version);
  const work = mkdtempSync(join(dirname(out), ".release-"));
  try {
    const at = (name: string) => join(work, name);
    const image = at(`railnet-image-${version}.tar`);
    const { digest, manifests } = await buildImage(dist, image, ARCHITECTURES, repository);
    rmSync(`${image}.digest`);
    await buildPerftestImage(at(`railnet-perftest-image-${version}.tar`), `${repository}-perftest`);
    const named = { repository, version, digest };
    writeManifests(at("manifests"), named);
    cpSync(at("manifests/railnet.yaml"), at(`railnet-${version}.yaml`));
    cpSync(at("manifests/helm"), at("railnet"), { recursive: true });
    tarGz(work, at(`railnet-chart-${version}.tgz`), ["railnet"]);
    tarGz(work, at(`railnet-manifests-${version}.tar.gz`), ["manifests"]);
    for (const folder of ["manifests", "railnet"]) rmSync(at(folder), { recursive: true });
    packLibrary(work, at(`railnet-library-${version}.tgz`));
    const parts = ARCHITECTURES.map((architecture, i) => imagePart(dist, architecture, manifests[i]!.digest));
    writeFileSync(at(`railnet-${version}.cdx.json`), sbom(ingredients(dist, { ...named, parts })));
    writeFileSync(at("RELEASE_NOTES.md"), `${notes}\n${imageNote(named)}`);
    await writeChecksums(work);
    rmSync(out, { recursive: true, force: true });
    renameSync(work, out);
    report(out, named);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

interface Named {
  readonly repository: string;
  readonly version: string;
  readonly digest: string;
}

const reference = ({ repository, version, digest }: Named): string => `${repository}:${version}@${digest}`;

/** A copy of manifests/ in which the DaemonSet and the chart name the image by digest. */
function writeManifests(to: string, named: Named): void {
  cpSync(join(PROJECT, "manifests"), to, { recursive: true });
  const image = `image: ${REPOSITORY}:${named.version}\n`;
  for (const file of ["daemonset.yaml", "railnet.yaml"])
    replaceOnce(join(to, file), image, `image: ${reference(named)}\n`);
  const values = join(to, "helm/values.yaml");
  replaceOnce(values, `repository: ${REPOSITORY}\n`, `repository: ${named.repository}\n`);
  replaceOnce(values, "digest: ''\n", `digest: ${named.digest}\n`);
}

/** @throws {Error} unless the file has it exactly once. */
function replaceOnce(file: string, from: string, to: string): void {
  const pieces = readFileSync(file, "utf8").split(from);
  if (pieces.length !== 2)
    throw new Error(`cannot make a release: ${file} has ${JSON.stringify(from)} ${pieces.length - 1} times, not once`);
  writeFileSync(file, pieces.join(to));
}

function packLibrary(work: string, to: string): void {
  execFileSync("npm", ["pack", "--silent", "--pack-destination", work], {
    cwd: PROJECT,
    stdio: ["ignore", "ignore", "inherit"],
  });
  const [tarball] = globSync(join(work, `railnet-${readVersion()}.tgz`));
  if (!tarball) throw new Error("cannot make a release: npm pack made no railnet-VERSION.tgz");
  renameSync(tarball, to);
}

const imageNote = (named: Named): string =>
  `## Image\n\n\`${reference(named)}\`, an index of linux/${ARCHITECTURES.join(" and linux/")}. What is in it: \`railnet-${named.version}.cdx.json\`. Check what you downloaded: \`sha256sum -c SHA256SUMS\`.\n`;

async function writeChecksums(folder: string): Promise<void> {
  const lines: string[] = [];
  for (const name of readdirSync(folder).sort()) {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(join(folder, name))) hash.update(piece);
    lines.push(`${hash.digest("hex")}  ${name}\n`);
  }
  writeFileSync(join(folder, "SHA256SUMS"), lines.join(""));
}

/** By the beginning and the end of a file's name. */
const WHAT: readonly (readonly [name: RegExp, what: string])[] = [
  [/-perftest-image-/, "what railnet bench rdma measures in, amd64"],
  [/-image-.*\.tar$/, "the image of both architectures, an OCI archive"],
  [/^railnet-[\d.]+.*\.yaml$/, "kubectl apply -f"],
  [/-manifests-/, "the same for kustomize, monitoring, examples, files for hosts"],
  [/-chart-/, "helm install railnet"],
  [/-library-/, "npm install"],
  [/\.cdx\.json$/, "SBOM, CycloneDX 1.6"],
  [/^RELEASE_NOTES/, "release notes"],
  [/^SHA256SUMS$/, "checksums of all of them"],
];

function report(out: string, named: Named): void {
  const rows = readdirSync(out)
    .sort()
    .map((name) => [name, size(statSync(join(out, name)).size), WHAT.find(([is]) => is.test(name))?.[1] ?? ""]);
  printTable(["file", "size", "what"], rows);
  console.log(`${out}: ${reference(named)}
The digest stays when the image is pushed with \`skopeo copy --all --preserve-digests oci-archive:${out}/railnet-image-${named.version}.tar docker://${named.repository}:${named.version}\`.`);
}

const size = (bytes: number): string =>
  bytes > 1e6 ? `${Math.round(bytes / 1e6)} MB` : `${Math.ceil(bytes / 1e3)} kB`;

const { values } = parseArgs({
  options: {
    repository: { type: "string", default: REPOSITORY },
    changelog: { type: "string", default: join(PROJECT, "CHANGELOG.md") },
    dist: { type: "string", default: join(PROJECT, "dist") },
    out: { type: "string", default: join(PROJECT, "dist/release") },
  },
});
try {
  await release({ ...values, dist: resolve(values.dist), out: resolve(values.out) });
} catch (error) {
  console.error(`release: ${(error as Error).message}`);
  process.exitCode = 1;
}
