import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { fromCaller, type ProcessEnvironment } from "./ipam/store-target.ts";

/**
 * The kubeconfig of who runs a command, as kubectl finds it; undefined in a pod.
 *
 * @param option what `--kubeconfig` says.
 * @throws {Error} when there is none.
 */
export function userKubeconfig(option: string | undefined, env: ProcessEnvironment): string | undefined {
  const named = option ?? env["KUBECONFIG"]?.split(":").find(Boolean);
  if (named) return fromCaller(named, env);
  const own = join(homedir(), ".kube/config");
  if (existsSync(own)) return own;
  if (env["KUBERNETES_SERVICE_HOST"]) return undefined;
  throw new Error(`cannot reach the cluster: there is no ${own}; give --kubeconfig PATH or set KUBECONFIG`);
}
