import { readlinkSync } from "node:fs";
import { join } from "node:path";
import { codeOf } from "../kernel/errno.ts";

/** The kernel's limit, path_resolution(7). */
const MOST_LINKS = 40;

/**
 * A host path as this process can open it, even from a container. Every component is looked up below `root`: the kernel
 * would resolve the absolute target of a symbolic link on the host (`/var/run` → `/run`) in the container's own root. What
 * does not exist is returned as named. `/proc` is the same in both: the agent shares the host's process IDs.
 *
 * @param root `/proc/1/root`; `/` for a process on the host itself, whose paths need no look-up.
 */
export function onHost(root: string, path: string): string {
  if (root === "/" || path.startsWith("/proc/")) return path;
  let at = "/";
  let links = 0;
  const rest = path.split("/");
  for (let name = rest.shift(); name !== undefined; name = rest.shift()) {
    const next = join(at, name); // ".." ends at the root
    const target = links < MOST_LINKS ? linkTarget(join(root, next)) : undefined;
    if (target === undefined) at = next;
    else {
      links++;
      rest.unshift(...target.split("/"));
      if (target.startsWith("/")) at = "/";
    }
  }
  return join(root, at);
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch (error) {
    if (["EINVAL", "ENOENT", "ENOTDIR", "EACCES", "ENAMETOOLONG"].includes(codeOf(error) ?? "")) return undefined;
    throw error;
  }
}
