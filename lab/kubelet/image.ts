import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

/** The image of sandboxes and of pods that only have to exist. */
export const PAUSE = "registry.local/pause:1";

/** tar(1) arguments that produce the same bytes from the same files. */
const SAME = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"];

/**
 * Makes an image without a registry, as `docker save` writes one.
 *
 * @param folder where the archive goes.
 * @param reference such as `registry.local/name:tag`; no kubelet tries to pull it.
 * @param files by their paths in the image; every image has /pause, which waits to be told to stop.
 * @returns path of the archive.
 */
export function makeImage(folder: string, reference: string, files: Readonly<Record<string, string>> = {}): string {
  const work = mkdtempSync(join(folder, "image-"));
  const root = join(work, "root");
  for (const dir of ["etc", "dev", "proc", "sys", "tmp", "run", "var"]) mkdirSync(join(root, dir), { recursive: true });
  symlinkSync("../run", join(root, "var/run")); // namespaces are named /var/run/netns/…, pods mount /run/netns
  writeFileSync(join(root, "etc/passwd"), "root:x:0:0:root:/:/pause\n"); // multus-daemon looks itself up
  execFileSync("gcc", ["-static", "-Os", "-s", "-o", join(root, "pause"), join(import.meta.dirname, "pause.c")]);
  for (const [path, file] of Object.entries(files)) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    copyFileSync(file, join(root, path));
  }
  execFileSync("tar", [...SAME, "-C", root, "-cf", join(work, "layer.tar"), "."]);
  const digest = createHash("sha256")
    .update(readFileSync(join(work, "layer.tar")))
    .digest("hex");
  const config = {
    architecture: process.arch === "x64" ? "amd64" : process.arch,
    os: "linux",
    config: { Entrypoint: ["/pause"], Env: ["PATH=/bin"] },
    rootfs: { type: "layers", diff_ids: [`sha256:${digest}`] },
  };
  writeFileSync(join(work, "config.json"), JSON.stringify(config));
  const manifest = [{ Config: "config.json", RepoTags: [reference], Layers: ["layer.tar"] }];
  writeFileSync(join(work, "manifest.json"), JSON.stringify(manifest));
  const archive = join(folder, `${reference.replace(/[/:]/g, "-")}.tar`);
  execFileSync("tar", [...SAME, "-C", work, "-cf", archive, "manifest.json", "config.json", "layer.tar"]);
  rmSync(work, { recursive: true });
  return archive;
}
