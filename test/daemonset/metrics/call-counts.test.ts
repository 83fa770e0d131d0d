import t from "tap";
import { CallCounts } from "../../../daemonset/metrics/call-counts.ts";
import { renderFamilies } from "../../../daemonset/metrics/family.ts";
import { SECONDS } from "../../../daemonset/metrics/histogram.ts";
import { readExposition } from "../support/exposition.ts";

const scrape = async (counts: CallCounts) => readExposition(renderFamilies(counts.families()));

t.test("CallCounts count by plugin, verb and code, which has a short name", async (t) => {
  const counts = new CallCounts();
  const calls = [
    ["railnet-sriov", "ADD", 0],
    ["railnet-sriov", "ADD", 0],
    ["railnet-sriov", "ADD", 102],
    ["railnet-sriov", "DEL", 0],
    ["railnet-ipam", "ADD", 999],
    ["railnet-sriov", "ADD", 4711],
  ] as const;
  for (const [plugin, verb, code] of calls) {
    counts.begin();
    counts.end(plugin, verb, code, 0.02);
  }
  counts.begin();
  const series = await scrape(counts);
  const count = (plugin: string, verb: string, code: number, reason: string) =>
    series.get(`railnet_cni_requests_total{code="${code}",plugin="${plugin}",reason="${reason}",verb="${verb}"}`);
  t.equal(count("railnet-sriov", "ADD", 0, "ok"), 2);
  t.equal(count("railnet-sriov", "ADD", 102, "in_use"), 1);
  t.equal(count("railnet-sriov", "ADD", 4711, "other"), 1);
  t.equal(count("railnet-sriov", "DEL", 0, "ok"), 1);
  t.equal(count("railnet-ipam", "ADD", 999, "no_address"), 1);
  t.equal(series.get("railnet_cni_requests_running"), 1);
});

t.test(
  "CallCounts' histogram has Prometheus' buckets: cumulated, up to and with their bound, and all below +Inf",
  async (t) => {
    const counts = new CallCounts();
    for (const seconds of [0.0004, 0.001, 0.0011, 0.03, 59, 60, 61]) {
      counts.begin();
      counts.end("railnet-sriov", "ADD", 0, seconds);
    }
    const series = await scrape(counts);
    const name = "railnet_cni_request_duration_seconds";
    const bucket = (le: number | string) => series.get(`${name}_bucket{le="${le}",plugin="railnet-sriov",verb="ADD"}`);
    t.same([0.001, 0.0025, 0.025, 0.05, 30, 60, "+Inf"].map(bucket), [2, 3, 3, 4, 4, 6, 7]);
    t.equal(SECONDS.map(bucket).filter((n) => n === undefined).length, 0, "every bucket is there");
    t.equal(series.get(`${name}_count{plugin="railnet-sriov",verb="ADD"}`), 7);
    t.ok(Math.abs(series.get(`${name}_sum{plugin="railnet-sriov",verb="ADD"}`)! - 180.0325) < 1e-9);
  },
);

t.test("SECONDS ascend from 1 ms to 60 s", async (t) => {
  t.same(
    SECONDS,
    SECONDS.toSorted((a, b) => a - b),
  );
  t.same([SECONDS.at(0), SECONDS.at(-1)], [0.001, 60]);
});
