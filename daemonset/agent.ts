import { statSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Log, PATHS, type Paths } from "../cni/host.ts";
import { onHost } from "../cni/host-root.ts";
import { isIpamName, isRdmaName, sriov } from "../cni/plugin.ts";
import { aboutItself, dispatch, failure } from "../cni/protocol/dispatch.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import { rdmaAlias } from "../cni/rdma-alias.ts";
import type { NodePolicy } from "../ipam/host.ts";
import { PODS } from "../kubernetes/cluster.ts";
import type { EventRecorder } from "../kubernetes/events/recorder.ts";
import { Locks } from "../records/lock.ts";
import { keepFenced } from "./addresses/node/fence.ts";
import { fenceSetting } from "./addresses/node/fence-setting.ts";
import { Addresses } from "./addresses/service/addresses.ts";
import { CONTROL } from "./control.ts";
import { type Endpoint, serveHealth, serveHealthSocket } from "./health.ts";
import type { InstallOptions } from "./install/install.ts";
import { checkHostRoot, startInstalling } from "./install/start.ts";
import { KernelThread } from "./kernel-thread.ts";
import { KernelThreads } from "./kernel-threads.ts";
import type { LevelledLog } from "./log-level.ts";
import { Observability } from "./observability.ts";
import { takePriority } from "./priority.ts";
import { railFilesIn } from "./rail-network/file.ts";
import { followNetworks } from "./rail-network/follower.ts";
import { keepReporting } from "./rail-node/start.ts";
import { Altnames } from "./rails/altname.ts";
import { debtSigns } from "./reconcile/debt-signs.ts";
import { keepReconciling } from "./reconcile/keep-reconciling.ts";
import { type Routes, startRoutes } from "./routes/start.ts";
import { AgentServer, type Handler } from "./server.ts";

/** Options of an agent. */
export interface AgentOptions {
  readonly paths: Partial<Paths>;
  /** `host:port` of the health endpoints besides the unix socket, or empty for none. */
  readonly health: string;
  /** `host:port` where Prometheus finds `/metrics` and nothing else, or empty: it is also at `health`. */
  readonly metrics: string;
  /** The agent's own pod: events about the agent refer to it. */
  readonly pod?: { readonly namespace: string; readonly name: string };
  /** Where the ConfigMap `railnet-config` is mounted; it may be missing. */
  readonly configDir: string;
  /** Seconds between two runs of the reconciler when nothing happens. */
  readonly reconcileSeconds: number;
  /** An address is freed if it looks abandoned twice, this far apart. */
  readonly graceSeconds: number;
  /** Where the kubelet looks for device plugins, or empty: another device plugin is in use. */
  readonly devicePlugins: string;
  /** How long a PF must be without carrier before its VFs are unhealthy. */
  readonly carrierGraceSeconds: number;
  /** A change appears in this node's RailNode after at most this time; 0: there is none. */
  readonly reportSeconds: number;
  /** Read after the installation, which may write it. */
  readonly policy: () => NodePolicy;
  /** What the DaemonSet's agent installs on its node first; absent: nothing. */
  readonly install?: InstallOptions;
  /** Where tests inject faults. */
  readonly step?: (step: string) => void;
  readonly log: LevelledLog;
}

/**
 * The resident process of a node: waits until it is the only one, repairs what it finds, then serves the shim.
 * Returns when told to stop, after the requests in flight are answered.
 */
export async function runAgent(options: AgentOptions): Promise<void> {
  const { health: address, configDir, reconcileSeconds, graceSeconds, install, step, log } = options;
  const paths = { ...PATHS, ...options.paths };
  const { runDir } = paths;
  takePriority(log); // before any other thread is created
  const observation = new Observability({ paths, configDir, log });
  const { health, recorder, countRequest } = observation;
  const endpoint = address ? await serveHealth(address, health, log) : undefined;
  const scraped =
    options.metrics && options.metrics !== address
      ? await serveHealth(options.metrics, health, log, ["/metrics"])
      : undefined;
  using _only = await beTheOnlyOne(runDir, log);
  const probed = await serveHealthSocket(join(runDir, "health.sock"), health);
  for (const [address, one] of [
    [options.health, endpoint],
    [options.metrics, scraped],
  ] as const)
    if (one) void sayIfTaken(address, one, options.pod, recorder, log);
  checkHostRoot(paths);
  const installing = install && (await startInstalling(install, paths, log));
  health.notReady = "the journal is being read";
  const policy = options.policy();
  const graceMs = graceSeconds * 1000;
  const hasAccount = install?.node !== undefined;
  const addresses = new Addresses({
    paths,
    policy,
    log,
    recorder,
    countRequest,
    graceMs,
    hasAccount,
    ...(step && { step }),
  });
  addresses.start();
  const open = () =>
    new KernelThread(
      new Worker("./daemonset/kernel-worker.ts", { smol: true }),
      observation.ofParts(addresses.reply),
      log,
      (why) => {
        log.warn({ why }, "a kernel thread ended: exiting, the next agent recovers from the journal");
        process.exit(1);
      },
    );
  const threads = new KernelThreads({ sysfs: paths.sysfs, stateDir: paths.stateDir, open, log });
  const altnames = new Altnames(threads.carryOut);
  let routes: Routes | undefined;
  const control = observation.watch({
    ...{ threads, addresses, altnames, node: policy.node ?? hostname() },
    routes: async () => routes?.report(),
  });
  const reconcile = async () => observation.repaired(await threads.reconcile());
  const stopReconciling = await keepReconciling({
    reconcile,
    signs: () => signsOfChange(paths),
    isOwed: () => debtSigns(paths) !== "",
    everyMs: reconcileSeconds * 1000,
    log,
  });
  const fencing = new AbortController();
  const isOn = fenceSetting(join(configDir, "fence"), log);
  void keepFenced({ ...addresses.fencing, isOn, threads, recorder, log }, fencing.signal);
  const kernel = observation.of(onThreads(threads), { log: false });
  const ipam = observation.of(addresses.answer, { log: true });
  const server = new AgentServer(byName({ kernel, ipam, control }), log);
  const socket = join(runDir, "agent.sock");
  await server.listen(socket);
  const { startDevices } = await import("./devices.ts");
  const { carryOut } = threads;
  const devices = startDevices({ ...options, paths, hostUses: (vfs) => threads.hostUses(vfs), carryOut, altnames });
  const reporting = new AbortController();
  const { repairs } = observation;
  void keepReporting(
    {
      ...{
        cluster: addresses.cluster,
        node: policy.node ?? hostname(),
        rails: devices.rails,
        paths,
        carryOut,
        repairs,
        isReaching: (rail: string) => routes?.isReaching(rail),
        log,
      },
      seconds: options.reportSeconds,
    },
    reporting.signal,
  );
  void addresses.cluster.then((cluster) =>
    followNetworks(
      { cluster, node: policy.node ?? hostname(), file: railFilesIn(configDir, paths.stateDir).networks, log },
      reporting.signal,
    ),
  );
  routes = startRoutes(
    {
      ...{ cluster: addresses.cluster, node: policy.node ?? hostname(), paths, rails: devices.rails, recorder, log },
      networks: railFilesIn(configDir, paths.stateDir).networks,
      open: () => new Worker("./daemonset/routes/worker.ts", { smol: true }),
    },
    reporting.signal,
  );
  health.notReady = "";
  log.info({ socket, health: address }, "agent ready");

  await stopSignal();
  health.notReady = "the agent stops";
  log.info({}, "agent stops: answering requests in flight");
  stopReconciling();
  fencing.abort();
  reporting.abort();
  await server.close();
  await addresses.stop();
  await devices.stop();
  observation.stop();
  installing?.stop();
  endpoint?.close();
  scraped?.close();
  probed.close();
  threads.terminate();
}

/** The plugin that is called, or the command line. */
const byName =
  ({ kernel, ipam, control }: Record<"kernel" | "ipam" | "control", Handler>): Handler =>
  (request, signal) => {
    if (request.name === CONTROL) return control(request, signal);
    return isIpamName(request.name) ? ipam(request, signal) : kernel(request, signal);
  };

/** Verbs that need no kernel are answered here, even while the kernel thread is stuck. */
const onThreads =
  (threads: KernelThreads): Handler =>
  async (request, signal) => {
    if (isRdmaName(request.name)) return dispatch(rdmaAlias, request);
    try {
      return aboutItself(sriov, request) ?? (await threads.request(request, signal));
    } catch (error) {
      const why = `cannot ${request.env.CNI_COMMAND}: ${(error as Error).message}`;
      return failure(new CniError(CODE.TRY_AGAIN_LATER, why), request);
    }
  };

/** The predecessor has ended, so whatever holds the address now is another program. */
const TAKEN_MS = 3_000;

/** Only metrics depend on it: an event, and no more. */
async function sayIfTaken(
  address: string,
  endpoint: Endpoint,
  pod: AgentOptions["pod"],
  recorder: EventRecorder,
  log: Log,
): Promise<void> {
  await sleep(TAKEN_MS, undefined, { ref: false });
  if (endpoint.isListening) return;
  const message = `${address} is in use by another program: no metrics there until it is free; give the agent another --metrics`;
  log.warn({ address }, "an address for metrics is in use by another program: waiting for it");
  if (pod)
    recorder.record({ about: { resource: PODS, ...pod }, type: "Warning", reason: "MetricsAddressTaken", message });
}

/** A second agent (a rolling update with maxSurge) waits for the first to end, and says so. */
async function beTheOnlyOne(runDir: string, log: Log): Promise<Disposable> {
  const locks = new Locks(runDir);
  const first = locks.tryAcquire("agent");
  if (first) return first;
  log.info({ runDir }, "another agent runs on this node: waiting for it to end");
  return locks.acquire("agent", "the lock of this node's agent", Number.POSITIVE_INFINITY);
}

/**
 * Changes when a namespace ends, and when a debt may be settled. The directory's modification time is used, since in a container it
 * is seen through `/proc/1/root`, which Bun's `watch` cannot follow, and a mount of it would keep ended namespaces alive.
 */
function signsOfChange(paths: Paths): string {
  const namespaces = statSync(onHost(paths.hostRoot, paths.netnsDir), { throwIfNoEntry: false });
  return `${namespaces?.mtimeMs} ${debtSigns(paths)}`;
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ["SIGTERM", "SIGINT"] as const) process.once(signal, () => resolve());
  });
}
