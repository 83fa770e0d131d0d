import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { PATHS, type Paths } from "../../cni/host.ts";
import { pathsFrom } from "../../cni/node-host.ts";
import { KUBECONFIG } from "../../daemonset/install/paths.ts";
import type { NodePolicy } from "../../ipam/host.ts";
import { readNodePolicy } from "../../ipam/node-policy.ts";
import { readFlatFile } from "../../ipam/whereabouts/flat-file.ts";
import type { Cluster } from "../../kubernetes/cluster.ts";
import type { TargetOptions } from "./options.ts";
import { readText } from "./read-text.ts";

export type ProcessEnvironment = Readonly<Record<string, string | undefined>>;

/** Where addresses are stored, and what says so, for messages. */
export type StoreTarget =
  | { readonly kind: "kubernetes"; readonly kubeconfig?: string; readonly by: string }
  | { readonly kind: "directory"; readonly path: string; readonly by: string };

/**
 * A path as its caller means it. The compiled executable runs in `/`, since a runtime's directory may be gone; the calling
 * shell has its directory in PWD.
 */
export function fromCaller(path: string, env: ProcessEnvironment): string {
  const here = process.cwd();
  return resolve(here === "/" ? (env["PWD"] ?? here) : here, path);
}

/** What this node's own files and the environment say. */
export interface Surroundings {
  readonly paths: Paths;
  readonly policy: NodePolicy;
  readonly env: ProcessEnvironment;
}

/** @throws {CniError} for an invalid node.json. */
export function surroundingsOf(env: ProcessEnvironment): Surroundings {
  const paths = { ...PATHS, ...pathsFrom(env) };
  return { paths, policy: readNodePolicy(paths, env), env };
}

/**
 * Where addresses are stored: as an option says, else node.json, else KUBECONFIG, else Whereabouts' flat file, else the
 * service account of the pod that this runs in (in the agent's pod before the node's own kubeconfig), else the directory of this node.
 *
 * @throws {Error} if none of these exists.
 */
export function findTarget(
  { kubeconfig, directory }: TargetOptions,
  { paths, policy, env }: Surroundings,
): StoreTarget {
  const ofPod = { kind: "kubernetes", by: "the service account of this pod" } as const;
  const isInPod = env["KUBERNETES_SERVICE_HOST"] !== undefined;
  if (directory) return { kind: "directory", path: fromCaller(directory, env), by: "--directory" };
  // The agent's pod has an account with more rights than the node's executables.
  if (isInPod && !kubeconfig && policy.kubeconfig === KUBECONFIG) return ofPod;
  const named = [
    [kubeconfig, "--kubeconfig"],
    [policy.kubeconfig, paths.nodeConfig],
    [env["KUBECONFIG"]?.split(":").find(Boolean), "KUBECONFIG"],
    [readFlatFile({}, { policy, readText })?.kubernetes?.kubeconfig, "Whereabouts' flat file"],
  ] as const;
  for (const [path, by] of named) if (path) return { kind: "kubernetes", kubeconfig: fromCaller(path, env), by };
  if (isInPod) return ofPod;
  const own = policy.directory ?? `${paths.stateDir}/addresses`;
  if (existsSync(own)) return { kind: "directory", path: own, by: "what is on this node" };
  throw new Error(
    `cannot tell where addresses are kept: no kubeconfig is named anywhere, and there is no ${own}; ` +
      "give --kubeconfig PATH, set KUBECONFIG, or give --directory PATH",
  );
}

/** A page of 5,000 objects from a busy server takes seconds. */
const TIME_LIMIT_MS = 60_000;

/**
 * The cluster of a target.
 *
 * @throws {Error} for a directory: `what` exists only in a cluster.
 */
export async function connectTo(target: StoreTarget, { namespace }: TargetOptions, what: string): Promise<Cluster> {
  if (target.kind === "directory")
    throw new Error(
      `cannot ${what} in ${target.path}: that is a directory of one host; give --kubeconfig PATH for a cluster`,
    );
  const { connect } = await import("../../ipam/connect.ts");
  const { kubeconfig } = target;
  return connect({ timeLimitMs: TIME_LIMIT_MS, ...(kubeconfig && { kubeconfig }), ...(namespace && { namespace }) });
}
