// The oldest Multus that README supports, thin and without a cluster, in front of the networks of manifests/examples.
import { existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { type Attachment, cniEnv, type Verb, WAYS, withReply } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const PROJECT = resolve(import.meta.dirname, "../..");
const MULTUS = join(PROJECT, ".cache/peers/bin/multus-4.0.2");
const EXAMPLES = readFileSync(join(PROJECT, "manifests/examples/networks.yaml"), "utf8");
const README = readFileSync(join(PROJECT, "README.md"), "utf8");

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();

const versions = [...EXAMPLES.matchAll(/"cniVersion": "([\d.]+)",\s+"name": "rail/g)].map(([, version]) => version!);

t.test("README names this Multus, and the examples say a cniVersion", async (t) => {
  t.ok(existsSync(MULTUS));
  t.match(README, /Multus 4\.0 or newer/);
  t.equal(versions.length, 4);
});

/** Multus' call of one delegate, as of a cluster's network. */
function multus(verb: Verb, a: Attachment) {
  const conf = {
    cniVersion: "0.3.1",
    name: "multus",
    type: "multus",
    binDir: world.cniBin,
    cniDir: join(world.dir, "multus"),
    delegates: [a.config],
  };
  const env = { ...world.env, ...cniEnv(verb, a, world.cniBin) };
  return withReply(start(...world.host.enter(MULTUS), { env, stdin: JSON.stringify(conf) }));
}

for (const via of WAYS)
  for (const cniVersion of new Set(versions))
    t.test(`Multus 4.0.2 takes the answers to cniVersion ${cniVersion} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const a = world.attachment(pod, { cniVersion });
        const added = await multus("ADD", a);
        t.equal(added.exit, 0, added.stdout + added.stderr);
        t.match(added.json, { interfaces: [{ name: "net1" }], ips: [{ address: "10.20.0.5/24" }] });
        t.match(await inside(pod), { links: ["lo", "net1"], addresses: ["10.20.0.5/24"] });
        const deleted = await multus("DEL", a);
        t.equal(deleted.exit, 0, deleted.stdout + deleted.stderr);
      }),
    );

t.test("Multus 4.0.2 does not take 1.1.0, for which 4.1.2 is needed", (t) =>
  unchanged(t, world, "alone", async () => {
    const a = world.attachment(pod, { cniVersion: "1.1.0" });
    t.match((await multus("ADD", a)).stdout, /unsupported CNI result version/);
    t.equal((await world.call("alone", "DEL", a)).exit, 0);
  }),
);
