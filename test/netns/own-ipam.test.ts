// `ipam.type` naming this plugin: under its own name, under those that it stands in for, and under one that nobody knows.
import { existsSync, linkSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Verb, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();

for (const via of WAYS)
  for (const type of ["railnet-sriov", "sriov", "rdma", "our-copy"])
    t.test(`ipam.type ${type} is refused, goes round nowhere, and keeps no pod from its end (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const copy = join(world.cniBin, type);
        if (!existsSync(copy)) linkSync(join(world.cniBin, "railnet-sriov"), copy);
        const a = world.attachment(pod, { ipam: { type } });
        const all = { ...a, config: { ...a.config, "cni.dev/valid-attachments": [] } };
        const call = async (verb: Verb) => {
          const { exit, json, ms } = await world.call(via, verb, all);
          t.ok(ms < 15_000, `${verb} took ${ms} ms`);
          return { exit, code: json?.["code"], msg: String(json?.["msg"]) };
        };
        t.match(await call("ADD"), { exit: 1, code: 7, msg: /ipam\.type ".*": it attaches devices/ });
        t.same((await inside(pod)).links, ["lo"]);
        t.match(await call("STATUS"), { exit: 1, code: 7, msg: "ipam.type" });
        t.match(await call("GC"), { exit: 1, msg: "ipam.type" });
        t.match(await call("DEL"), { exit: 0 });
        t.same(world.processes(), [], "and nothing of it runs on");
      }),
    );
