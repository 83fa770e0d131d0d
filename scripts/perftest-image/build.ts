// build.ts OUT [REPOSITORY]: the image that `railnet bench rdma` measures in, as an OCI archive, of this machine's Debian packages.
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { Layout } from "../image/oci.ts";
import { makePerftestTree } from "./tree.ts";

export const PERFTEST_REPOSITORY = "railnet.io/railnet-perftest";

/** For amd64 alone: Debian's perftest of the other architecture is not on a machine that builds. @returns its digest. */
export async function buildPerftestImage(out: string, repository = PERFTEST_REPOSITORY): Promise<string> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const work = mkdtempSync(join(dirname(out), ".perftest-image-"));
  try {
    makePerftestTree(join(work, "amd64"));
    const layout = new Layout(join(work, "layout"));
    const settings = { Cmd: ["sleep", "infinity"], Env: ["PATH=/usr/bin:/usr/sbin"], WorkingDir: "/" };
    const manifest = await layout.addImage(join(work, "amd64"), "amd64", settings);
    const digest = layout.addIndex([manifest], `${repository}:${version}`);
    layout.archive(out);
    return digest;
  } finally {
    rmSync(work, { recursive: true });
  }
}

process.umask(0o022); // the modes of the image's directories
const [out, repository] = process.argv.slice(2);
if (import.meta.main && out) console.log(`${out} ${await buildPerftestImage(out, repository)}`);
