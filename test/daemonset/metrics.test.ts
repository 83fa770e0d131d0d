import { createServer } from "node:net";
import t from "tap";
import { noCounts } from "../../daemonset/addresses/counters.ts";
import { serveHealth } from "../../daemonset/health.ts";
import { renderMetrics } from "../../daemonset/metrics.ts";

const silent = { debug() {}, info() {}, warn() {} };

t.test("/metrics shows what was counted, as Prometheus reads it", async (t) => {
  const addresses = { ...noCounts(), freed: 3, putBack: 1 };
  const port = await freePort();
  const metrics = () => renderMetrics({ addresses, pendingReleases: () => 7 });
  const endpoint = await serveHealth(`127.0.0.1:${port}`, { ready: true, metrics }, silent);
  t.teardown(() => endpoint.close());
  const scrape = async () =>
    (await fetch(`http://127.0.0.1:${port}/metrics`, { headers: { connection: "close" } })).text();
  const lines = (await scrape()).split("\n");
  for (const line of [
    "# TYPE railnet_addresses_freed_total counter",
    "railnet_addresses_freed_total 3",
    "railnet_addresses_put_back_total 1",
    "railnet_address_releases_pending 7",
  ])
    t.ok(lines.includes(line), line);
  addresses.freed = 5;
  t.match(await scrape(), /^railnet_addresses_freed_total 5$/m, "each scrape reads anew");
});

function freePort(): Promise<number> {
  const server = createServer();
  return new Promise((resolve) =>
    server.listen(0, "127.0.0.1", () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    }),
  );
}
