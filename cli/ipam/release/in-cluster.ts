import { isPodref, type Pod, podIsOver, readPod } from "../../../daemonset/addresses/evidence.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import { addressesOf, addressKey, type HeldAddress, isSameOwner, recordsByAddress } from "../addresses.ts";
import { remove } from "../changes.ts";
import type { TargetOptions } from "../options.ts";
import type { Progress } from "../progress.ts";
import { type IpamSnapshot, readSnapshot } from "../snapshot.ts";
import { connectTo, type StoreTarget } from "../store-target.ts";
import { meant, outcomeOf, type ReleaseOutcome, type Which } from "./which.ts";

/** Releases addresses of a cluster, each if it is unchanged since it was looked at. @throws {ApiError} */
export async function releaseInCluster(
  which: Which,
  target: StoreTarget,
  options: TargetOptions,
  progress: Progress,
): Promise<ReleaseOutcome[]> {
  const cluster = await connectTo(target, options, "release an address");
  const snapshot = await readSnapshot(cluster, progress);
  const outcomes: ReleaseOutcome[] = [];
  for (const address of meant(addressesOf(snapshot), which)) {
    progress.at("releasing", outcomes.length);
    outcomes.push(await release(address, which, snapshot, cluster));
  }
  return outcomes;
}

async function release(
  address: HeldAddress,
  { force }: Which,
  snapshot: IpamSnapshot,
  cluster: Cluster,
): Promise<ReleaseOutcome> {
  const { podref, podUid } = address;
  const pod = isPodref(podref) ? await readPod(cluster, podref) : undefined;
  const over = isPodref(podref) ? podIsOver(pod, podUid) : undefined;
  if (!over && !force) return outcomeOf(address, "refused", whyRefused(podref, pod));
  const { reservation, records } = partsOf(address, snapshot);
  const change = await remove(cluster, snapshot.mode, { reservation, records });
  if (change === "changed") return outcomeOf(address, "changed", "it changed in the meantime, and was left alone");
  return outcomeOf(address, "released", over ?? forced(pod));
}

function whyRefused(podref: string, pod: Pod | undefined): string {
  if (!pod)
    return `${JSON.stringify(podref)} is not a pod: the address was marked as taken by hand; give --force to remove that`;
  const { status, spec } = pod;
  const where = spec?.nodeName ? ` on ${spec.nodeName}` : "";
  return `its pod is running (${status?.phase ?? "phase not known"}${where}); delete the pod, or give --force`;
}

const forced = (pod: Pod | undefined): string =>
  pod ? "by force: its pod is running, and the agent of its node restores the reservation" : "by force";

/** The reservation and the records of one owner of an address. */
function partsOf(address: HeldAddress, { reservations, pools }: IpamSnapshot) {
  const { ip, network } = address;
  const reservation = reservations.find(
    (one) => one.networkName === network && one.ip === ip && isSameOwner(one, address),
  );
  const records = recordsByAddress(pools).get(addressKey(network, ip)) ?? [];
  return { reservation, records: records.filter(({ record }) => isSameOwner(record, address)) };
}
