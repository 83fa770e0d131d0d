import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { type Architecture, makeTree } from "../../scripts/image/tree.ts";
import { installFull } from "./executables.ts";
import type { World } from "./world.ts";

const project = resolve(import.meta.dirname, "../..");

/** Makes the root its only mount, as runtimes do: other mounts must not be kept alive by us. */
const ENTER = `
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(name, *args):
    if getattr(libc, name)(*args) != 0: sys.exit(f"{name}: {os.strerror(ctypes.get_errno())}")
os.chdir(sys.argv[1])
call("pivot_root", b".", b".")
call("umount2", b".", 2)
os.chdir("/")
os.execv("/usr/bin/railnet", ["railnet", *sys.argv[2:]])
`;

/**
 * The agent in a container of its image, as the DaemonSet runs it: a root of its own with the node's directories mounted in
 * their own places, but neither pods' namespaces nor plugins. The test process plays the host's process 1.
 *
 * @param mounts directories of the node besides those that every agent needs.
 * @returns path of a command that runs the executable in there; `BLIND=1` gives it its own root for the host's.
 */
export function containerOf(world: World, mounts: readonly string[] = []): string {
  const root = join(world.dir, "image");
  makeTree(root, executables(world), process.arch === "arm64" ? "arm64" : ("amd64" satisfies Architecture));
  const dirs = [world.sysfs.root, world.stateDir, world.runDir, world.deviceInfoDir, ...mounts];
  for (const dir of [world.stateDir, ...dirs.map((dir) => root + dir)]) mkdirSync(dir, { recursive: true });
  const command = join(world.dir, "agent-in-container");
  const script = [
    "#!/bin/sh",
    'set -e; [ -n "$INSIDE" ] || INSIDE=1 exec unshare --mount --propagation private "$0" "$@"',
    `mount --bind ${root} ${root}; mount -t proc proc ${root}/proc; mount --bind /dev ${root}/dev`,
    ...dirs.map((dir) => `mount --bind ${dir} ${root}${dir}`),
    `host=/proc/${process.pid}/root; [ -z "$BLIND" ] || host=/proc/self/root`,
    "export RAILNET_HOST_ROOT=$host",
    `exec python3 -c '${ENTER}' ${root} "$@"`,
  ];
  writeFileSync(command, script.join("\n"), { mode: 0o755 });
  return command;
}

/** What the image is made of: the executables with fault injection, a helper that takes the test process for the host. */
function executables(world: World): string {
  const dist = join(world.dir, "dist");
  const arch = process.arch === "arm64" ? "aarch64" : "x86_64";
  mkdirSync(join(dist, "arm64"), { recursive: true });
  installFull(arch === "aarch64" ? join(dist, "arm64") : dist);
  const flags = { ...process.env, CFLAGS: `-DRAILNET_INIT_MOUNTS="/proc/${process.pid}/ns/mnt"` };
  execFileSync(join(project, "cni/shim/build.sh"), [dist, arch], { env: flags });
  return dist;
}
