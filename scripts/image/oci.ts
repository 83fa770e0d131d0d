import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { createReadStream, mkdirSync, readdirSync, renameSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Architecture } from "./tree.ts";

/** https://github.com/opencontainers/image-spec, media types. */
const MEDIA = {
  index: "application/vnd.oci.image.index.v1+json",
  manifest: "application/vnd.oci.image.manifest.v1+json",
  config: "application/vnd.oci.image.config.v1+json",
  /** Uncompressed: what a compressor makes differs between its versions, and registries' tools compress by themselves. */
  layer: "application/vnd.oci.image.layer.v1.tar",
} as const;

export interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

/** GNU tar, told all that would differ between two runs: order, times, owners, header format. */
const TAR = ["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "--format=gnu"];

export const tar = (from: string, to: string, names: readonly string[]): void =>
  void execFileSync("tar", [...TAR, "-C", from, "-cf", to, ...names], { stdio: ["ignore", "ignore", "inherit"] });

/** A folder in OCI's image layout, filled from the layers up. */
export class Layout {
  readonly #folder: string;
  readonly #blobs: string;

  /** @param folder is made. */
  constructor(folder: string) {
    this.#folder = folder;
    this.#blobs = join(folder, "blobs/sha256");
    mkdirSync(this.#blobs, { recursive: true });
    writeFileSync(join(folder, "oci-layout"), JSON.stringify({ imageLayoutVersion: "1.0.0" }));
  }

  /** A directory with its content as the one layer of an image for one platform. */
  async addImage(
    root: string,
    architecture: Architecture,
    settings: object,
  ): Promise<Descriptor & { platform: object }> {
    const file = join(this.#folder, "layer.tar");
    tar(root, file, readdirSync(root).sort());
    const layer = await this.#addFile(MEDIA.layer, file);
    const platform = { architecture, os: "linux" };
    const config = this.#addJson(MEDIA.config, {
      ...platform,
      config: settings,
      rootfs: { type: "layers", diff_ids: [layer.digest] },
      history: [{ created: EPOCH, created_by: "scripts/image.sh" }],
      created: EPOCH,
    });
    const manifest = { schemaVersion: 2, mediaType: MEDIA.manifest, config, layers: [layer] };
    return { ...this.#addJson(MEDIA.manifest, manifest), platform };
  }

  /** One image of several platforms, under a name. @returns its digest, which tells the same image anywhere. */
  addIndex(manifests: readonly Descriptor[], name: string): string {
    const index = this.#addJson(MEDIA.index, { schemaVersion: 2, mediaType: MEDIA.index, manifests });
    const annotations = {
      "io.containerd.image.name": name,
      "org.opencontainers.image.ref.name": name.split(":").at(-1),
    };
    const top = { schemaVersion: 2, mediaType: MEDIA.index, manifests: [{ ...index, annotations }] };
    writeFileSync(join(this.#folder, "index.json"), JSON.stringify(top));
    return index.digest;
  }

  /** All of it as one file, in the order in which readers can stream it. */
  archive(to: string): void {
    tar(this.#folder, `${to}.new`, ["oci-layout", "index.json", "blobs"]);
    renameSync(`${to}.new`, to);
  }

  async #addFile(mediaType: string, file: string): Promise<Descriptor> {
    const hash = createHash("sha256");
    for await (const piece of createReadStream(file)) hash.update(piece);
    const hex = hash.digest("hex");
    renameSync(file, join(this.#blobs, hex));
    return { mediaType, digest: `sha256:${hex}`, size: statSync(join(this.#blobs, hex)).size };
  }

  #addJson(mediaType: string, value: object): Descriptor {
    const text = JSON.stringify(value);
    const hex = createHash("sha256").update(text).digest("hex");
    writeFileSync(join(this.#blobs, hex), text);
    return { mediaType, digest: `sha256:${hex}`, size: Buffer.byteLength(text) };
  }
}

const EPOCH = "1970-01-01T00:00:00Z";
