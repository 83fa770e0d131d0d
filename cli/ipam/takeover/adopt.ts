import type { Context } from "../../../daemonset/addresses/context.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { Disputes } from "../../../daemonset/addresses/disputes.ts";
import { Events } from "../../../daemonset/addresses/events.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { PodOwners, reserve, unlessRefused } from "../../../daemonset/addresses/leader/adopt.ts";
import { inParallel } from "../../../daemonset/addresses/parallel.ts";
import { createLog } from "../../../daemonset/log.ts";
import { Notes } from "../../../daemonset/notes.ts";
import { requireDefinitions } from "../../../ipam/store/kubernetes/definitions.ts";
import { KubernetesStore } from "../../../ipam/store/kubernetes.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { addressKey, type Located, recordsByAddress } from "../addresses.ts";
import type { Progress } from "../progress.ts";
import type { IpamSnapshot } from "../snapshot.ts";

export interface Adopted {
  /** Reservations that were made or completed. */
  readonly made: number;
  /** Addresses that another interface has reserved. */
  readonly disputed: number;
}

/** Makes a reservation for every record that has none, and completes those that Whereabouts wrote. May end anywhere and be run again. @throws {ApiError} */
export async function adoptAll(snapshot: IpamSnapshot, cluster: Cluster, progress: Progress): Promise<Adopted> {
  const signal = new AbortController().signal;
  const context = contextOf(cluster, snapshot);
  await requireDefinitions(cluster);
  const pods = new PodOwners(context, signal);
  const open = incomplete(snapshot);
  let [made, disputed] = [0, 0];
  await inParallel(open, async ({ ip, network, record }) => {
    const place = snapshot.addressIndex.placeOf(network, ip);
    progress.at("making reservations", made + disputed, open.length);
    const work = place && reserve({ pool: place.pool, ip, record }, pods, context, signal);
    if (await work?.catch(unlessRefused(ip, context))) made++;
    else disputed++;
  });
  return { made, disputed };
}

/** Records whose reservation is missing or says less than Railnet's own. */
function incomplete({ pools, reservations }: IpamSnapshot): Located[] {
  const complete = reservations.filter(({ pool, containerId }) => pool && containerId);
  const whole = new Map(complete.map((one) => [addressKey(one.networkName, one.ip), one]));
  const records = [...recordsByAddress(pools)].filter(([key]) => !whole.has(key));
  return records.flatMap(([, located]) => located);
}

/** What the agent's own work shares, for one that ends with this process. */
function contextOf(cluster: Cluster, { mode }: IpamSnapshot): Context {
  const log = createLog("silent");
  const [node, counters] = ["", noCounts()];
  const recorder = new EventRecorder({ log, notes: new Notes() });
  recorder.connect(cluster, node);
  const events = new Events(recorder, cluster.namespace);
  const store = new KubernetesStore({ cluster, mode: () => mode, log, createsAdopted: false });
  const disputes = new Disputes(log, events, counters);
  return { cluster, store, mode: () => mode, node, log, events, disputes, counters, freed: new FreedHistory() };
}
