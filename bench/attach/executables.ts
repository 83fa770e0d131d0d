import { copyFileSync, existsSync, linkSync, mkdirSync, rmSync } from "node:fs";
import { join, resolve } from "node:path";
import { buildInterleave } from "./interleave.ts";

/** Everything that is timed, and what times it, in one directory and under the names that count. */
export interface Executables {
  /** The shim, called `railnet-sriov`. */
  readonly shim: string;
  /** The full binary, called `railnet-sriov`. */
  readonly alone: string;
  /** The full binary, called `railnet`. */
  readonly agent: string;
  /** A directory with `host-device` and `static`. */
  readonly peers: string;
  readonly interleave: string;
}

export function executablesIn(dir: string): Executables {
  return {
    shim: join(dir, "cni/railnet-sriov"),
    alone: join(dir, "opt/railnet-sriov"),
    agent: join(dir, "opt/railnet"),
    peers: join(dir, "peers"),
    interleave: join(dir, "interleave"),
  };
}

/**
 * Copies a build and the peers to where executablesIn() finds them.
 *
 * @throws {Error} that says which step makes what is missing.
 */
export function collect(dist: string, peers: string, dir: string): void {
  const { shim, alone, agent, interleave } = executablesIn(dir);
  rmSync(dir, { recursive: true, force: true });
  for (const sub of ["cni", "opt", "peers"]) mkdirSync(join(dir, sub), { recursive: true });
  copy(join(dist, "railnet-shim"), shim, "npm run build");
  copy(join(dist, "railnet"), agent, "npm run build");
  linkSync(agent, alone);
  for (const plugin of ["host-device", "static"])
    copy(join(peers, plugin), join(dir, "peers", plugin), "scripts/setup.sh peers");
  buildInterleave(interleave);
}

function copy(from: string, to: string, maker: string): void {
  if (!existsSync(from)) throw new Error(`cannot measure ${resolve(from)}: it is not there; run ${maker} (ENOENT)`);
  copyFileSync(from, to);
}
