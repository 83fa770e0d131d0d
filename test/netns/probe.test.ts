import { existsSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join, resolve } from "node:path";
import t from "tap";
import { start } from "../../lab/netns/run.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create();
t.teardown(() => world.close());
const bun = resolve("node_modules/.bin/bun");
const probe = (page: string) => start(...world.host.enter(join(world.cniBin, "railnet-probe"), page));

t.test("railnet-probe says whether the agent lives and serves, by its exit status, and why not", async (t) => {
  t.match(await probe("/readyz"), { exit: 1, stdout: /^cannot reach the agent at .*\/health\.sock: No such file/ });
  await world.agent();
  for (const page of ["/readyz", "/healthz"]) t.match(await probe(page), { exit: 0, stdout: "" }, page);
  t.match(await probe("/other"), { exit: 1, stdout: /^want \/healthz/ });
  t.match(await probe("readyz"), { exit: 1, stdout: /want a path/ });
  await world.noAgent("leave its socket");
  t.match(await probe("/healthz"), { exit: 1, stdout: /Connection refused/ });
});

t.test("railnet-probe of an agent that waits for another one is answered by that one", async (t) => {
  const first = await world.agent();
  const second = world.startAgent(9809);
  await until("it waits", () => second.log.includes("another agent runs on this node"));
  t.equal((await probe("/readyz")).exit, 0, "the first one's answer");
  await first.end();
  await second.ready();
  t.equal((await probe("/readyz")).exit, 0, "the second one's");
  await second.end();
});

t.test("railnet-probe takes an agent of 0.1.0, which has no such socket, for what it is", async (t) => {
  const [health, agent] = ["health.sock", "agent.sock"].map((name) => join(world.runDir, name)) as [string, string];
  for (const path of [health, agent]) rmSync(path, { force: true });
  const old = createServer().listen(agent);
  await until("it listens", () => existsSync(agent));
  t.equal((await probe("/readyz")).exit, 0);
  await new Promise((closed) => old.close(closed));
  t.equal((await probe("/readyz")).exit, 1);
});

t.test("railnet agent serves and answers probes though another program has its metrics' port", async (t) => {
  const script =
    'Bun.serve({ port: 9808, hostname: "127.0.0.1", fetch: () => new Response("a stranger", { status: 500 }) })';
  const stranger = start(...world.host.enter(bun, "-e", script));
  t.teardown(() => stranger.kill("SIGKILL"));
  const get = (page: string) => world.host.exec("sh", "-c", `curl -s http://127.0.0.1:9808${page} || true`);
  await until("a stranger answers", async () => (await get("/healthz")) === "a stranger");
  const agent = world.startAgent(9810, {}, ["--metrics", "127.0.0.1:9808"]);
  await agent.ready();
  for (const page of ["/readyz", "/healthz"]) t.equal((await probe(page)).exit, 0, page);
  await until("it says so", () => agent.log.includes("is in use by another program: waiting for it"));
  stranger.kill("SIGKILL");
  await until("metrics are there", async () => (await get("/metrics")).includes("railnet_attachments"));
  t.match(await get("/readyz"), /^want \/metrics/, "and nothing else");
  await agent.end();
});
