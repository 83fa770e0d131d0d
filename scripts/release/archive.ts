import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { tar } from "../image/oci.ts";

/** A tar.gz of some names of a folder. The same content is the same bytes: no times, owners or names in it. */
export function tarGz(from: string, to: string, names: readonly string[]): void {
  const work = mkdtempSync(join(tmpdir(), "railnet-tar-"));
  try {
    tar(from, join(work, "tar"), names);
    writeFileSync(to, gzipSync(readFileSync(join(work, "tar")), { level: 9 }));
  } finally {
    rmSync(work, { recursive: true });
  }
}
