import type { Counters } from "../addresses/counters.ts";
import { type Family, single } from "./family.ts";

const COUNTERS: Readonly<
  Record<
    Exclude<keyof Counters, "viewLagMs" | "fenced" | "nodesCompared" | "nodesOdd">,
    readonly [name: string, help: string]
  >
> = {
  freed: ["railnet_addresses_freed_total", "Addresses of pods that are gone, freed because DEL never came"],
  putBack: [
    "railnet_addresses_put_back_total",
    "Reservations of running pods that had been deleted, and were restored",
  ],
  duplicates: [
    "railnet_address_duplicates_total",
    "Addresses that a running pod uses and that are reserved for another",
  ],
  adopted: ["railnet_pools_adopted_total", "Pools whose records all got reservations"],
  viewPatches: ["railnet_pool_view_patches_total", "Patches of IPPool objects, written behind"],
  viewRefusals: ["railnet_pool_view_refusals_total", "Patches of IPPool objects refused because of a concurrent write"],
  fences: ["railnet_vf_fences_total", "VFs taken down because this node could not report (fence by lease)"],
  terms: ["railnet_leader_terms_total", "Times this node became the leader"],
};

/** The agent's background work on addresses. */
export function addressFamilies(counters: Counters, pendingReleases: number): Family[] {
  const help = "Attachments whose addresses are still to be released";
  return [
    ...Object.entries(COUNTERS).map(([key, [name, help]]) =>
      single("counter", name, help, counters[key as keyof typeof COUNTERS]),
    ),
    single("gauge", "railnet_address_releases_pending", help, pendingReleases),
    single("gauge", "railnet_vfs_fenced", "VFs that are down because this node cannot report", counters.fenced),
    single(
      "gauge",
      "railnet_pool_view_lag_seconds",
      "How long the oldest change has waited for its IPPool to show it, 0 where another node leads",
      counters.viewLagMs() / 1000,
    ),
  ];
}
