import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { must, start } from "../../lab/netns/run.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create({ vfs: 2 });
t.teardown(() => world.close());
const pod = await world.pod();

/** As many links as a node with a few hundred pods has, and some that come and go all the time: each is a change. */
const PAIRS = 1000;
const CHURN = `trap 'kill 0' TERM
  for i in 1 2 3; do
    { while :; do echo "link add churn$i type veth peer name churn\${i}p"; echo "link del churn$i"; sleep 0.01; done | ip -force -batch -; } &
  done; wait`;

t.test("railnet agent starts, attaches and detaches while the node's links come and go", async (t) => {
  await world.host.batch(Array.from({ length: PAIRS }, (_, i) => `link add a${i} type veth peer name b${i}`));
  const a = world.attachment(pod, { deviceID: world.vfs[0]!.pci });
  t.equal((await world.call("alone", "ADD", a)).exit, 0);
  const churn = start(...world.host.enter("setsid", "sh", "-c", CHURN));
  t.teardown(() => churn.kill("SIGTERM"));
  await until("links come and go", async () =>
    (await world.host.exec("ls", "/proc/sys/net/ipv4/conf")).includes("churn"),
  );
  for (let i = 0; i < 3; i++) {
    const agent = world.startAgent();
    await agent.ready();
    await agent.end("SIGKILL");
  }
  await world.agent();
  for (const verb of ["DEL", "ADD", "DEL"] as const) t.match(await world.call("shim", verb, a), { exit: 0 }, verb);
  await world.noAgent();
});

t.test("railnet agent serves though its first look at the journal fails, and looks again", async (t) => {
  const attachments = join(world.stateDir, "attachments");
  rmSync(attachments, { recursive: true });
  await must("touch", [attachments]); // no directory: every look at it fails
  const agent = world.startAgent();
  await agent.ready();
  t.match(agent.log, /reconciliation failed; retrying/);
  rmSync(attachments);
  mkdirSync(attachments);
  const a = world.attachment(pod);
  for (const verb of ["ADD", "DEL"] as const) t.match(await world.call("shim", verb, a), { exit: 0 }, verb);
  await agent.end();
});
