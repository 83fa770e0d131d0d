import { setTimeout as sleep } from "node:timers/promises";
import { isHeard, readReports } from "../../../daemonset/addresses/node/report.ts";
import { inParallel } from "../../../daemonset/addresses/parallel.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";
import { recordsByAddress } from "../addresses.ts";
import { addRecord } from "../changes.ts";
import type { Progress } from "../progress.ts";
import { readSnapshot } from "../snapshot.ts";
import { isRecorded } from "./state.ts";

/** Agents follow the setting within a second; a slow one is waited for this long. */
const AGENTS_MS = 60_000;

/** @returns names of nodes whose agent does not act in mode `coexist` in time. @throws {ApiError} */
export async function awaitAgents(cluster: Cluster, progress: Progress): Promise<string[]> {
  for (const endMs = performance.now() + AGENTS_MS; ; await sleep(1000)) {
    const heard = (await readReports(cluster)).filter((one) => isHeard(one, Date.now()));
    const late = heard.filter(({ mode }) => mode !== "coexist").map(({ node }) => node);
    if (late.length === 0 || performance.now() >= endMs) return late;
    progress.at("waiting for agents", heard.length - late.length, heard.length);
  }
}

/**
 * Writes the records of reservations made while records were not needed: what the agents claim from now on has its
 * record. Idempotent.
 *
 * @returns how many were written.
 * @throws {ApiError}
 */
export async function writeMissingRecords(cluster: Cluster, progress: Progress): Promise<number> {
  const { pools, reservations, addressIndex } = await readSnapshot(cluster, progress);
  const records = recordsByAddress(pools);
  const missing = reservations.filter((one) => one.ip && one.containerId && !isRecorded(one, records));
  let [done, written] = [0, 0];
  await inParallel(missing, async ({ networkName, ip, podref, ifname, containerId }) => {
    progress.at("writing records", done++, missing.length);
    const location = addressIndex.locationOf(networkName, ip);
    const key = location?.keyOf(ip);
    if (!location || key === undefined) return;
    if ((await addRecord(cluster, location.pool.name, key, { podref, ifname, containerId })) === "done") written++;
  });
  return written;
}
