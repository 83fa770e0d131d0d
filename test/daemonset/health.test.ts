import { createServer } from "node:net";
import t from "tap";
import { type Health, serveHealth } from "../../daemonset/health.ts";

const silent = { debug() {}, info() {}, warn() {} };

t.test("serveHealth() says what is so, and why not", async (t) => {
  const port = await freePort();
  const health: Health = { notReady: "the journal is being read" };
  const endpoint = await serveHealth(`127.0.0.1:${port}`, health, silent);
  t.teardown(() => endpoint.close());
  const get = async (path: string) => {
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { connection: "close" } });
    return `${response.status} ${(await response.text()).trim()}`;
  };
  t.equal(await get("/readyz"), "503 the journal is being read");
  t.equal(await get("/healthz"), "200 ok", "alive before it is ready");
  t.equal(await get("/metrics"), "503 no metrics yet: the journal is being read");
  Object.assign(health, { notReady: "", metrics: async () => "a 1\n", notAlive: () => "the kernel thread is stuck" });
  t.equal(await get("/readyz?verbose"), "200 ok");
  health.refused = () => ["cannot watch nodes: forbidden"];
  t.equal(await get("/readyz"), "503 cannot watch nodes: forbidden");
  health.refused = () => [];
  t.equal(await get("/healthz"), "503 the kernel thread is stuck");
  t.equal(await get("/metrics"), "200 a 1");
  health.metrics = () => Promise.reject(new Error("no sysfs"));
  t.equal(await get("/metrics"), "500 cannot read the metrics: no sysfs", "a scrape that fails ends nothing");
  t.match(await get("/other"), /^404 /);
  const scraped = await freePort();
  const more = await serveHealth(`127.0.0.1:${scraped}`, health, silent, ["/metrics"]);
  t.teardown(() => more.close());
  const statusOf = async (path: string) => (await fetch(`http://127.0.0.1:${scraped}${path}`)).status;
  t.same([await statusOf("/metrics"), await statusOf("/readyz")], [500, 404], "another address may serve less");
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
