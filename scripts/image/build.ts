// build.ts DIST OUT ARCHITECTURE...: the agent's image as an OCI archive. Run by scripts/image.sh.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { type Descriptor, Layout } from "./oci.ts";
import { type Architecture, makeTree } from "./tree.ts";

export const REPOSITORY = "railnet.io/railnet";

const SETTINGS = {
  Entrypoint: ["/usr/bin/railnet"],
  Cmd: ["agent", "--install"],
  Env: ["PATH=/usr/bin", "SSL_CERT_FILE=/etc/ssl/certs/ca-certificates.crt"],
  WorkingDir: "/",
};

/** @returns the image's digest, and the manifest of each architecture in their order. */
export async function buildImage(
  dist: string,
  out: string,
  architectures: readonly Architecture[],
  repository = REPOSITORY,
): Promise<{ digest: string; manifests: readonly Descriptor[] }> {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  const work = mkdtempSync(join(dirname(out), ".image-"));
  try {
    const layout = new Layout(join(work, "layout"));
    const manifests: Descriptor[] = [];
    for (const architecture of architectures) {
      makeTree(join(work, architecture), dist, architecture);
      manifests.push(await layout.addImage(join(work, architecture), architecture, SETTINGS));
    }
    const digest = layout.addIndex(manifests, `${repository}:${version}`);
    layout.archive(out);
    writeFileSync(`${out}.digest`, `${digest}\n`);
    return { digest, manifests };
  } finally {
    rmSync(work, { recursive: true });
  }
}

process.umask(0o022); // the modes of the image's directories
const [dist, out, ...architectures] = process.argv.slice(2);
if (import.meta.main && dist && out) await buildImage(dist, out, architectures as Architecture[]);
