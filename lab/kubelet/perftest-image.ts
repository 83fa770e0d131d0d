import { readFileSync } from "node:fs";
import { join } from "node:path";
import { buildPerftestImage, PERFTEST_REPOSITORY } from "../../scripts/perftest-image/build.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));

/** The image that the benches of rails measure in, by the name that it has in a release. */
export const PERFTEST = `${PERFTEST_REPOSITORY}:${version}`;

/** The release's own image. @returns path of the archive. */
export async function makePerftestImage(folder: string): Promise<string> {
  const archive = join(folder, "perftest-image.tar");
  await buildPerftestImage(archive);
  return archive;
}
