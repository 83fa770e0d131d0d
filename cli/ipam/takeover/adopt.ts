import type { Log } from "../../../cni/host.ts";
import { AddressEvents } from "../../../daemonset/addresses/address-events.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { Events } from "../../../daemonset/addresses/events.ts";
import { FreedHistory } from "../../../daemonset/addresses/freed.ts";
import { PodOwners, reserve, unlessRefused } from "../../../daemonset/addresses/leader/adopt.ts";
import { inParallel } from "../../../daemonset/addresses/parallel.ts";
import { createLog } from "../../../daemonset/log.ts";
import { Notes } from "../../../daemonset/notes.ts";
import { requireDefinitions } from "../../../ipam/store/kubernetes/definitions.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import { EventRecorder } from "../../../kubernetes/events/recorder.ts";
import { addressKey, type Located, recordsByAddress } from "../addresses.ts";
import type { Progress } from "../progress.ts";
import type { IpamSnapshot } from "../snapshot.ts";

export interface Adopted {
  /** Reservations that were created or completed. */
  readonly made: number;
  /** Addresses that another interface has reserved. */
  readonly disputed: number;
}

/** Creates a reservation for every record without one, and completes those that Whereabouts wrote. May be interrupted anywhere and repeated. @throws {ApiError} */
export async function adoptAll(snapshot: IpamSnapshot, cluster: Cluster, progress: Progress): Promise<Adopted> {
  const signal = new AbortController().signal;
  const log = createLog("silent");
  const context = { cluster, log, told: addressEvents(cluster, log) };
  await requireDefinitions(cluster);
  const pods = new PodOwners(context, signal);
  const open = incomplete(snapshot);
  let [made, disputed] = [0, 0];
  await inParallel(open, async ({ ip, network, record }) => {
    const location = snapshot.addressIndex.locationOf(network, ip);
    progress.at("making reservations", made + disputed, open.length);
    const work = location && reserve({ pool: location.pool, ip, record }, pods, context, signal);
    if (await work?.catch(unlessRefused(ip, context))) made++;
    else disputed++;
  });
  return { made, disputed };
}

/** Records whose reservation is missing or lacks fields that Railnet's own have. */
function incomplete({ pools, reservations }: IpamSnapshot): Located[] {
  const complete = reservations.filter(({ pool, containerId }) => pool && containerId);
  const whole = new Map(complete.map((one) => [addressKey(one.networkName, one.ip), one]));
  const records = [...recordsByAddress(pools)].filter(([key]) => !whole.has(key));
  return records.flatMap(([, located]) => located);
}

/** Conflicts are reported where the agents report theirs. */
function addressEvents(cluster: Cluster, log: Log): AddressEvents {
  const recorder = new EventRecorder({ log, notes: new Notes() });
  recorder.connect(cluster, "");
  return new AddressEvents(log, new Events(recorder, cluster.namespace), noCounts(), new FreedHistory());
}
