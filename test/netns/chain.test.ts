// CHECK of an attachment behind which other plugins are chained: the CNI plugins' own executables where they can be had.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, cniEnv, type Verb, type Via, WAYS, withReply } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

type Json = Record<string, unknown>;

const PEERS = resolve(import.meta.dirname, "../../.cache/peers/bin");

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();

const IPAM = {
  ips: [
    { address: "10.20.0.5/24", gateway: "10.20.0.1" },
    { address: "fd00:20::5/64", gateway: "fd00:20::1" },
  ],
  routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "10.21.0.0/16" }, { dst: "fd00:21::/48" }],
};

/** A plugin behind ours, as a runtime calls it. @returns its result, or prevResult where it says none. */
async function peer(verb: Verb, a: Attachment, config: Json, prevResult: unknown): Promise<Json> {
  const stdin = JSON.stringify({ cniVersion: a.config["cniVersion"], name: a.config["name"], ...config, prevResult });
  const running = start(...world.host.enter(join(PEERS, String(config["type"]))), {
    env: cniEnv(verb, a, PEERS),
    stdin,
  });
  const { exit, stdout, json } = await withReply(running);
  if (exit !== 0) throw new Error(`${config["type"]} ${verb}: ${stdout}`);
  return json ?? (prevResult as Json);
}

async function check(via: Via, a: Attachment, prevResult: Json) {
  return world.call(via, "CHECK", { ...a, config: { ...a.config, prevResult } });
}

const CHAINS: readonly { readonly behind: string; readonly plugins: readonly Json[]; readonly config?: Json }[] = [
  {
    behind: "tuning",
    plugins: [{ type: "tuning", mac: "02:00:00:00:00:77", mtu: 1300, promisc: true, allmulti: true, txQLen: 50, sysctl: { "net.ipv4.conf.net1.arp_filter": "1" } }],
  },
  { behind: "tuning, the MAC asked for", config: { mac: "02:00:00:00:00:aa" }, plugins: [{ type: "tuning", mac: "02:00:00:00:00:77" }] },
  { behind: "sbr", plugins: [{ type: "sbr" }] },
  { behind: "sbr, with rules of ours", config: { sourceRules: { table: 99 } }, plugins: [{ type: "sbr" }] },
  { behind: "tuning and sbr", plugins: [{ type: "tuning", mtu: 1300 }, { type: "sbr" }] },
]; // biome-ignore format: rows

for (const via of WAYS)
  for (const cniVersion of [via === "alone" ? "0.4.0" : "1.1.0"])
    for (const { behind, plugins, config = {} } of CHAINS)
      t.test(`CHECK behind ${behind} is silent, and what then goes wrong is named (${cniVersion}, ${via})`, (t) =>
        unchanged(t, world, via, async () => {
          world.ipam.gives(IPAM);
          const a = world.attachment(pod, { cniVersion, ...config });
          const added = await world.call(via, "ADD", a);
          t.equal(added.exit, 0, added.stdout);
          let result = added.json!;
          for (const one of plugins) result = await peer("ADD", a, { ...one, dataDir: world.dir }, result);
          const checked = await check(via, a, result);
          t.equal(checked.exit, 0, checked.stdout);
          await pod.batch(["addr del 10.20.0.5/24 dev net1"]);
          t.match(await check(via, a, result), { exit: 1, json: { code: 106, msg: "10.20.0.5/24 is gone" } });
          await pod.batch(["addr add 10.20.0.5/24 dev net1"]); // by which sbr finds its rules
          for (const one of plugins.toReversed()) await peer("DEL", a, { ...one, dataDir: world.dir }, result);
          t.equal((await world.call(via, "DEL", a)).exit, 0);
        }),
      );

for (const via of WAYS) {
  t.test(`CHECK behind route-override compares the routes that the result still has (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.ipam.gives(IPAM);
      const a = world.attachment(pod);
      const added = await world.call(via, "ADD", a);
      const kept = [{ dst: "10.21.0.0/16" }];
      await pod.batch([
        "route del default dev net1",
        "route del default via fd00:20::1 dev net1",
        "route del fd00:21::/48 via fd00:20::1 dev net1",
      ]);
      const result = { ...added.json, routes: kept };
      t.match(await check(via, a, result), { exit: 0, stdout: "" }, "flushroutes, then addroutes");
      t.match(
        await check(via, a, added.json!),
        { exit: 1, json: { msg: "route ::/0 is gone" } },
        "the same with nobody behind",
      );
      await pod.batch(["route del 10.21.0.0/16 dev net1"]);
      t.match(await check(via, a, result), { exit: 1, json: { msg: "route 10.21.0.0/16 is gone" } });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`CHECK sees its routes among eth0's next hops, and one of theirs for none of ours (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.ipam.gives(IPAM);
      const a = world.attachment(pod);
      const added = await world.call(via, "ADD", a);
      t.equal((await check(via, a, added.json!)).exit, 0);
      await pod.batch(["route del default via fd00:20::1 dev net1", "route del 10.21.0.0/16 dev net1"]);
      const { json } = await check(via, a, added.json!);
      t.match(json, {
        code: 106,
        msg: /route ::\/0 is gone; route 10\.21\.0\.0\/16 is gone|route 10\.21\.0\.0\/16 is gone; route ::\/0 is gone/,
      });
      t.notMatch(json, { msg: /0\.0\.0\.0\/0/ });
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`CHECK and DEL of a pod with 3,000 rules, routes and addresses are done in a moment (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.ipam.gives(IPAM);
      const a = world.attachment(pod, { sourceRules: true });
      const added = await world.call(via, "ADD", a);
      await crowd("add");
      const checked = await check(via, a, added.json!);
      t.equal(checked.exit, 0, checked.stdout);
      const deleted = await world.call(via, "DEL", a);
      t.equal(deleted.exit, 0);
      t.ok(checked.ms < 5_000 && deleted.ms < 5_000, `${checked.ms} ms, ${deleted.ms} ms`);
      await crowd("del");
    }),
  );
}

async function crowd(verb: "add" | "del"): Promise<void> {
  const many = Array.from({ length: 3000 }, (_, i) => `${i >> 8}.${i & 255}`);
  await pod.batch(
    many.flatMap((n) => [
      `rule ${verb} from 10.77.${n} table 77`,
      ...(verb === "add" ? [`addr add 10.77.${n}/32 dev net1`] : []),
    ]),
  );
}

t.test("the plugins to chain are there", async (t: Test) => {
  for (const name of ["tuning", "sbr"]) t.ok(existsSync(join(PEERS, name)), name);
  t.same((await inside(pod)).links, ["lo"]);
});
