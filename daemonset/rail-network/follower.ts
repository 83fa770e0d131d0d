import { isDeepStrictEqual } from "node:util";
import type { Log } from "../../cni/host.ts";
import { ApiError, type Cluster, type KubeObject, NAMESPACES, NODES } from "../../kubernetes/cluster.ts";
import { Informer } from "../../kubernetes/informer.ts";
import { absentMs, beforeAbort, pause } from "../loop.ts";
import { isWrittenAs, readNetworks, writeNetworks } from "./file.ts";
import type { FollowedNetwork } from "./listed.ts";
import { selectsAll, withNamespaces } from "./namespaces.ts";
import { RAIL_NETWORKS, type RailNetwork } from "./object.ts";

export interface FollowerOptions {
  readonly cluster: Cluster;
  /** Name of this node in the cluster. */
  readonly node: string;
  /** Where the keeper of the rails reads what is received here. */
  readonly file: string;
  readonly log: Log;
}

/** After this many failures to find them served, an hour in all, they are gone: the definition was deleted. */
const GONE = 9;
const RETRY_MS = 10_000;

/** Keeps the file of RailNetworks equal to the API server's, until `signal`. Never rejects. */
export async function followNetworks(options: FollowerOptions, signal: AbortSignal): Promise<void> {
  const onAbsent = () => void store([], options); // the definition was deleted, and so were they
  if (!(await untilServed(options, signal, onAbsent))) return;
  const { cluster, node, log } = options;
  const onError = (err: Error) => log.debug({ err }, "watch of RailNetworks failed; retrying");
  const onChange = () => setImmediate(update);
  const shared = { signal, onError, onChange };
  const networks = Informer.start<RailNetwork>(cluster, RAIL_NETWORKS, shared);
  const self = { ...shared, fieldSelector: `metadata.name=${node}`, metadataOnly: true };
  const nodes = Informer.start<KubeObject>(cluster, NODES, self);
  const all = Promise.all([networks.synced, nodes.synced]);
  let isSynced = false;
  let namespaces: Informer<KubeObject> | undefined;
  let hasNamespaces = false;
  function update(): void {
    if (!isSynced || signal.aborted) return; // an incomplete list would take rails away
    const labels = nodes.objects.get(node)?.metadata.labels ?? {};
    const followed = selected([...networks.objects.values()], labels);
    if (!followed.every(selectsAll) && !namespaces) followNamespaces();
    const all = hasNamespaces ? [...namespaces!.objects.values()] : undefined;
    const whole = followed.map((one) => withNamespaces(one, all, tryRead(options.file)));
    if (!store(whole, options)) setTimeout(update, RETRY_MS).unref();
  }
  /** Starts with the first RailNetwork that is restricted to some. */
  function followNamespaces(): void {
    namespaces = Informer.start<KubeObject>(cluster, NAMESPACES, { ...shared, metadataOnly: true });
    void namespaces.synced.then(() => {
      hasNamespaces = true;
      update();
    });
  }
  if (!(await beforeAbort(all, signal))) return;
  isSynced = true;
  update();
  await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
}

/**
 * Those that select a node, oldest first: what it has given away stays given. Deleted ones that wait for a finalizer count.
 * Pure.
 */
export function selected(
  networks: readonly RailNetwork[],
  labels: Readonly<Record<string, string>>,
): FollowedNetwork[] {
  const age = ({ metadata: { creationTimestamp = "", name } }: RailNetwork) => `${creationTimestamp} ${name}`;
  return networks
    .filter(({ spec }) => Object.entries(spec?.nodeSelector ?? {}).every(([key, value]) => labels[key] === value))
    .toSorted((a, b) => (age(a) < age(b) ? -1 : 1))
    .map(({ metadata: { name }, spec }) => ({
      name,
      rails: spec?.rails ?? [],
      ...(spec?.pods && { pods: spec.pods }),
      ...(spec?.sets && { sets: spec.sets }),
      ...(spec?.nodes && { nodes: spec.nodes }),
      ...(spec?.expect && { expect: spec.expect }),
    }));
}

/** @returns false if the disk is full, for instance. */
function store(networks: readonly FollowedNetwork[], { file, log }: FollowerOptions): boolean {
  const before = tryRead(file);
  if (isWrittenAs(file, networks)) return true;
  try {
    writeNetworks(file, networks);
  } catch (err) {
    log.warn(
      { err, file },
      "the RailNetworks of this node could not be written: its rails stay as they were; retrying",
    );
    return false;
  }
  const names = (all: readonly FollowedNetwork[]) => all.map(({ name }) => name);
  const gone = names(before ?? []).filter((name) => !names(networks).includes(name));
  const came = networks.filter(({ name }) => !names(before ?? []).includes(name));
  for (const { name: network, rails } of came)
    log.info({ network, rails: rails.map(({ name }) => name) }, "this node follows a RailNetwork");
  for (const network of gone)
    log.warn(
      { network },
      "a RailNetwork is gone, or no longer selects this node: its rails are no longer offered; running pods keep theirs, and VFs stay",
    );
  if (!isDeepStrictEqual(before, networks) && gone.length === 0 && came.length === 0)
    log.info({ networks: names(networks) }, "the RailNetworks of this node have changed");
  return true;
}

/** An invalid file is written again. */
function tryRead(file: string): readonly FollowedNetwork[] | undefined {
  try {
    return readNetworks(file);
  } catch {
    return undefined;
  }
}

/**
 * Waits for the definition; an informer would ask for it twice a minute.
 *
 * @param onAbsent called if they are still not served an hour later.
 * @returns false if `signal` came first.
 */
export async function untilServed(
  { cluster, log }: Pick<FollowerOptions, "cluster" | "log">,
  signal: AbortSignal,
  onAbsent: () => void = () => {},
): Promise<boolean> {
  for (let absences = 0; !signal.aborted; )
    try {
      await cluster.list(RAIL_NETWORKS, { metadataOnly: true, fromCache: true, signal });
      return true;
    } catch (err) {
      const isAbsent = err instanceof ApiError && [403, 404].includes(err.status);
      if (isAbsent && absences === 0) log.info({ err }, "RailNetworks are not served: the ConfigMap lists the rails");
      if (isAbsent && absences === GONE && err.status === 404) onAbsent();
      await pause((isAbsent ? absentMs(absences++) : RETRY_MS) * (0.9 + Math.random() / 5), signal);
    }
  return false;
}
