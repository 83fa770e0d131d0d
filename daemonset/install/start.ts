import { chmodSync, existsSync, statSync } from "node:fs";
import type { Log, Paths } from "../../cni/host.ts";
import { onHost } from "../../cni/host-root.ts";
import { Locks } from "../../records/lock.ts";
import { pause, repeat } from "../loop.ts";
import { type InstallOptions, install } from "./install.ts";
import { renewKubeconfig } from "./kubeconfig.ts";
import { installPathsBelow } from "./paths.ts";

/** How soon a failure is retried, and how often the token's age is checked. */
const EVERY_MS = 15_000;
/** How often to ask the cluster whether the Node object is still the one that the token is bound to. */
const ASK_MS = 300_000;

/** An agent starts without a kubeconfig after this: shims wait for it. */
const FIRST_MS = 3_000;

const LOCK_WAIT_MS = 60_000;

/** One installer at a time on a node. */
export const lockInstaller = (runDir: string): Promise<Disposable> =>
  new Locks(runDir).acquire("install", "the installation of this node", LOCK_WAIT_MS);

/**
 * Installs this version on the node and maintains it: failures (a full disk, an API server that does not answer) are
 * logged and retried, while the agent serves with what is there.
 *
 * The agent calls this once it holds its lock, so that no other one serves: what is on the node's disk is then never newer
 * than the running agent, nor older than one that ran after it. A newer stand-alone executable beside an older agent could
 * leave records that the agent cannot read. Copying takes about a second in between; shims wait for five, then run the
 * executable that is there.
 */
export async function startInstalling(options: InstallOptions, { runDir }: Paths, log: Log): Promise<{ stop(): void }> {
  chmodSync(runDir, 0o700); // the kubelet, which created it, lets others read it
  const stopping = new AbortController();
  const time = { everyMs: EVERY_MS, signal: stopping.signal, log };
  let isInstalled = false;
  const executables = async () => {
    if (isInstalled) return;
    using _lock = await lockInstaller(runDir);
    install(options, log);
    isInstalled = true;
  };
  await executables().catch((err) => log.warn({ err }, "cannot install on this node yet; retrying"));
  void repeat("installation", time, executables);
  if (options.node !== undefined) await beginKubeconfig(options.node, options, time);
  return { stop: () => stopping.abort() };
}

/** Waits for a node's first one, so that its first ADD finds it, but not for an API server that does not answer. */
async function beginKubeconfig(
  node: string,
  options: InstallOptions,
  time: Parameters<typeof repeat>[1],
): Promise<void> {
  const path = installPathsBelow(options.root).kubeconfig;
  const keep = keepKubeconfig(node, path, options, time.log);
  const isThere = existsSync(path);
  const first = Promise.withResolvers<void>();
  void repeat("kubeconfig of this node", time, () => keep().finally(first.resolve));
  if (!isThere) await Promise.race([first.promise, pause(FIRST_MS, time.signal)]);
}

function keepKubeconfig(node: string, path: string, { step }: InstallOptions, log: Log): () => Promise<void> {
  let askedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() - askedAt < ASK_MS) return;
    if (await renewKubeconfig({ path, node, ...(step && { step }) })) log.info({ path, node }, "kubeconfig written");
    askedAt = performance.now();
  };
}

/**
 * A host root that is not the host's would show no pod's namespace: the reconciler would take every attachment for
 * orphaned. So it must be another root than this process's own, containing the same journal.
 *
 * @throws {Error} that says what the DaemonSet lacks.
 */
export function checkHostRoot({ hostRoot, stateDir }: Paths): void {
  if (hostRoot === "/") return;
  const cannot = (why: string) => new Error(`cannot see the host below ${hostRoot}: ${why}`);
  if (isSame("/", hostRoot)) throw cannot("that is this process's own root; the pod needs hostPID");
  if (!isSame(stateDir, onHost(hostRoot, stateDir)))
    throw cannot(
      `${stateDir} is another directory there; the pod needs the host's ${stateDir} mounted at its own path`,
    );
}

function isSame(...paths: readonly [string, string]): boolean {
  const [a, b] = paths.map((path) => statSync(path, { throwIfNoEntry: false }));
  return a !== undefined && b !== undefined && a.ino === b.ino && a.dev === b.dev;
}
