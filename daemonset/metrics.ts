import type { Counters } from "./addresses/counters.ts";

/** What the metrics are read from, at the time of a scrape. */
export interface MetricSources {
  readonly addresses: Counters;
  /** Attachments whose addresses are not given back yet. */
  pendingReleases(): number;
}

const COUNTERS: Readonly<Record<keyof Counters, readonly [name: string, help: string]>> = {
  freed: ["railnet_addresses_freed_total", "Addresses of pods that are gone, freed because no DEL came"],
  putBack: ["railnet_addresses_put_back_total", "Reservations of living pods that somebody had removed"],
  duplicates: ["railnet_address_duplicates_total", "Addresses that a living pod uses and another one has reserved"],
  adopted: ["railnet_pools_adopted_total", "Pools whose records all got reservations"],
  viewPatches: ["railnet_pool_view_patches_total", "Patches of IPPool objects, written behind"],
  viewRefusals: [
    "railnet_pool_view_refusals_total",
    "Such patches that were refused because somebody else had written",
  ],
  terms: ["railnet_leader_terms_total", "Times that this node became the leader"],
};

/** The text of `/metrics`, Prometheus' exposition format. Its library loads with the first scrape. */
export async function renderMetrics({ addresses, pendingReleases }: MetricSources): Promise<string> {
  const { Counter, Gauge, Registry } = await import("prom-client");
  const registry = new Registry();
  const registers = [registry];
  for (const [key, [name, help]] of Object.entries(COUNTERS))
    new Counter({ name, help, registers }).inc(addresses[key as keyof Counters]);
  const help = "Attachments whose addresses are noted on disk and not given back yet";
  new Gauge({ name: "railnet_address_releases_pending", help, registers }).set(pendingReleases());
  return await registry.metrics();
}
