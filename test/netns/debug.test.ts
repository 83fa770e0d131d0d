import t from "tap";
import type { Verb } from "../../lab/netns/call.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();

for (const { verb, says } of [
  { verb: "ADD", says: /^netlink > \d+ SETLINK flags 0x5 .* # move rail0v0 to /m },
  { verb: "DEL", says: /^netlink > \d+ SETLINK flags 0x5 .* # move net1 home as rail0v0$/m },
] as { verb: Verb; says: RegExp }[])
  t.test(`RAILNET_DEBUG=netlink shows the messages of ${verb} on stderr and leaves stdout to CNI`, async (t) => {
    const attachment = world.attachment(pod, {}, { id: "debug", env: { RAILNET_DEBUG: "netlink" } });
    const { exit, stdout, stderr } = await world.call("alone", verb, attachment);
    t.equal(exit, 0, stdout);
    t.match(stderr, says);
    t.match(stderr, /^netlink < \d+ ack$/m);
    t.equal(stdout.includes("netlink"), false);
    if (verb === "ADD") t.match(JSON.parse(stdout), { cniVersion: "1.1.0" });
  });

t.test("railnet-sriov says nothing on stderr without RAILNET_DEBUG", async (t) => {
  const attachment = world.attachment(pod, {}, { id: "quiet" });
  for (const verb of ["ADD", "DEL"] as const) t.equal((await world.call("alone", verb, attachment)).stderr, "");
});

t.test("RAILNET_DEBUG=netlink shows the messages of the agent's kernel thread in its log", async (t) => {
  const agent = world.startAgent(9808, { RAILNET_DEBUG: "netlink" });
  t.teardown(() => agent.end());
  await agent.ready();
  const attachment = world.attachment(pod, {}, { id: "agent" });
  for (const verb of ["ADD", "DEL"] as const)
    t.match(await world.call("shim", verb, attachment), { exit: 0, stderr: "" });
  t.match(agent.log, /^netlink > \d+ SETLINK .* # move rail0v0 to /m);
});
