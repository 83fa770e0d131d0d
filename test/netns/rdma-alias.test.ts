import { linkSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { cniEnv, type Reply, type Verb, type Via, WAYS, withReply } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const NAMED = { alone: join(world.dir, "opt/rdma"), shim: join(world.cniBin, "rdma") };
linkSync(join(world.dir, "opt/railnet-sriov"), NAMED.alone);
linkSync(join(world.cniBin, "railnet-sriov"), NAMED.shim);

/** Calls the plugin `rdma` as a runtime does behind `sriov` in a list. */
function rdma(via: Via, verb: Verb, prevResult?: object): Promise<Reply> {
  const a = world.attachment(pod);
  const stdin = JSON.stringify({ cniVersion: "1.0.0", name: "rail", type: "rdma", ...(prevResult && { prevResult }) });
  const env = { ...world.env, ...cniEnv(verb, a, world.cniBin) };
  return withReply(start(...world.host.enter(NAMED[via]), { env, stdin }));
}

for (const via of WAYS) {
  t.test(`rdma behind railnet-sriov hands its result on and changes nothing (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod, { cniVersion: "1.0.0" });
      const { json } = await world.call(via, "ADD", a);
      const before = await inside(pod);
      t.match(await rdma(via, "ADD", json), { exit: 0, json });
      t.match(await rdma(via, "CHECK", json), { exit: 0, stdout: "" });
      t.match(await rdma(via, "DEL", json), { exit: 0, stdout: "" });
      t.match(await rdma(via, "DEL"), { exit: 0, stdout: "" });
      t.same(await inside(pod), before);
      t.equal(world.records().length, 1, "the VF's record is not its");
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`rdma without a result before it is error 7 (${via})`, async (t) => {
    await world.use(via);
    t.match(await rdma(via, "ADD"), { exit: 1, json: { code: 7, msg: /prevResult.*chain rdma after railnet-sriov/ } });
    t.match(await rdma(via, "VERSION"), { exit: 0, json: { supportedVersions: ["0.1.0"] } });
  });
}

t.test("ADD warns of an infinibandGUID, and goes on", (t) =>
  unchanged(t, world, "alone", async () => {
    const a = world.attachment(pod, { runtimeConfig: { infinibandGUID: "02:00:00:00:00:00:00:01" } });
    const { exit, stderr } = await world.call("alone", "ADD", a);
    t.match({ exit, stderr }, { exit: 0, stderr: /infinibandGUID is ignored.*02:00:00:00:00:00:00:01/ });
    t.equal((await world.call("alone", "DEL", a)).exit, 0);
  }),
);
