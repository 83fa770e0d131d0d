import { readFileSync } from "node:fs";
import t from "tap";
import { PATHS } from "../../../cni/host.ts";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { type MetricSources, Metrics } from "../../../daemonset/metrics/metrics.ts";
import type { Repair } from "../../../daemonset/reconcile/plan.ts";
import { readExposition } from "../support/exposition.ts";
import { RDMA_READING } from "../support/rdma-reading.ts";
import { ROUTES } from "../support/routes.ts";

const sources = (): MetricSources => ({
  paths: { ...PATHS, sysfs: "/none", stateDir: "/none" },
  railOf: (pf) => pf,
  addresses: { counters: { ...noCounts(), freed: 3, putBack: 1 }, pending: () => 7 },
  routes: ROUTES,
  rdma: [RDMA_READING],
  events: { counts: { sent: 2, dropped: 5, waiting: 1 } },
});

/** One of everything, so that every metric has a series. */
function used(): Metrics {
  const metrics = new Metrics();
  metrics.calls.begin();
  metrics.calls.end("railnet-sriov", "ADD", 0, 0.01);
  metrics.api.add("create", "ippools", 201);
  metrics.api.add("create", "ippools", 201);
  metrics.api.add("watch", "leases", 0);
  const repair = { containerID: "c", ifname: "net1", pci: "p", why: "" } as const;
  metrics.repairs.add([
    { ...repair, kind: "detach", reason: "orphaned" },
    { ...repair, kind: "detach", reason: "orphaned", error: "Error: no" },
    { ...repair, kind: "report", reason: "astray" },
  ] satisfies Repair[]);
  metrics.repairs.add([]);
  return metrics;
}

t.test("Metrics show what was counted", async (t) => {
  const series = readExposition(used().render(sources()));
  for (const [key, value] of Object.entries({
    railnet_addresses_freed_total: 3,
    railnet_addresses_put_back_total: 1,
    railnet_address_releases_pending: 7,
    'railnet_api_requests_total{code="201",resource="ippools",verb="create"}': 2,
    'railnet_api_requests_total{code="0",resource="leases",verb="watch"}': 1,
    'railnet_reconciler_repairs_total{reason="orphaned",result="ended"}': 1,
    'railnet_reconciler_repairs_total{reason="orphaned",result="failed"}': 1,
    'railnet_reconciler_repairs_total{reason="astray",result="reported"}': 1,
    railnet_reconciler_runs_total: 2,
    'railnet_events_total{result="sent"}': 2,
    'railnet_events_total{result="dropped"}': 5,
    railnet_events_waiting: 1,
  }))
    t.equal(series.get(key), value, key);
  const rss = Number(/VmRSS:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))?.[1]) * 1024;
  const seen = series.get("process_resident_memory_bytes")!;
  t.ok(seen > rss / 2 && seen < rss * 2, "memory is in bytes");
  t.ok(Math.abs(series.get("process_start_time_seconds")! * 1000 - (Date.now() - performance.now())) < 60_000);
});

t.test("Metrics have names and units as Prometheus' conventions want them", async (t) => {
  for (const { name, type, help } of used().families(sources())) {
    t.match(name, /^(railnet|process)_[a-z][a-z0-9_]*[a-z]$/, name);
    t.equal(name.endsWith("_total"), type === "counter", `${name}: counters, and they alone, end in _total`);
    t.notMatch(name, /_(ms|milliseconds|minutes|kb|mb|count|sum|bucket)(_|$)/, `${name}: base units`);
    t.ok(help.length > 10 && !help.endsWith("."), `${name} has a help text`);
  }
});

t.test("Metrics are all in the table of their README, and nothing else is", async (t) => {
  const text = readFileSync(new URL("../../../daemonset/metrics/README.md", import.meta.url), "utf8");
  const documented = [...text.matchAll(/^\| `(\w+)` \| (\w+) \|([^|]*)\|/gm)].map(
    ([, name, type, labels]) => `${name} ${type} ${[...labels!.matchAll(/`(\w+)`/g)].map(([, label]) => label).sort()}`,
  );
  const shown = used()
    .families(sources())
    .map(({ name, type, values }) => {
      const labels = new Set(values.flatMap((one) => Object.keys(one.labels ?? {}).filter((label) => label !== "le")));
      if (name === "railnet_vfs") for (const label of ["rail", "pf", "state"]) labels.add(label); // none on this machine
      return `${name} ${type} ${[...labels].sort()}`;
    });
  t.same(documented.toSorted(), shown.toSorted());
});
