// Routes to where the pod has routes already, beside what host-device makes of the same IPAM result.
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import t from "tap";
import { type Attachment, cniEnv, type Via, WAYS, withReply } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import type { Netns } from "../../lab/netns/netns.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

type Json = Record<string, unknown>;

const PEERS = resolve(import.meta.dirname, "../../.cache/peers/bin");

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const other = await world.pod();

const V4 = { address: "10.20.0.5/24", gateway: "10.20.0.1" };
const V6 = { address: "fd00:20::5/64", gateway: "fd00:20::1" };

const ROWS: readonly { readonly when: string; readonly routes: readonly Json[] }[] = [
  { when: "0.0.0.0/0 beside eth0's default", routes: [{ dst: "0.0.0.0/0" }] },
  { when: "::/0 beside eth0's default", routes: [{ dst: "::/0" }] },
  { when: "both defaults by a gateway of their own", routes: [{ dst: "0.0.0.0/0", gw: "10.20.0.9" }, { dst: "::/0", gw: "fd00:20::9" }] },
  { when: "the rail's own prefixes", routes: [{ dst: "10.20.0.0/24" }, { dst: "fd00:20::/64" }] },
  { when: "prefixes that eth0 has, too", routes: [{ dst: "10.0.0.0/8" }, { dst: "10.21.0.0/16" }, { dst: "fd00:21::/48" }] },
  { when: "eth0's own prefix", routes: [{ dst: "10.244.0.0/16" }, { dst: "fd00:244::/64" }] },
  { when: "one destination with two gateways", routes: [{ dst: "10.30.0.0/16", gw: "10.20.0.2" }, { dst: "10.30.0.0/16", gw: "10.20.0.3" }] },
  { when: "one IPv6 destination with two gateways", routes: [{ dst: "fd00:30::/48", gw: "fd00:20::2" }, { dst: "fd00:30::/48", gw: "fd00:20::3" }] },
  { when: "a default with a metric, and one in a table", routes: [{ dst: "0.0.0.0/0", priority: 7 }, { dst: "0.0.0.0/0", table: 77 }] },
]; // biome-ignore format: rows

/** All unicast routes of the pod in the kernel's order, which is the order in which it looks at them. */
async function routesOf(netns: Netns): Promise<Json[]> {
  const [v4 = [], v6 = []] = await netns.showAll("-4 route show table all", "-6 route show table all");
  return [...v4, ...v6]
    .filter(({ type, dst }) => type === "unicast" && !/^fe80/.test(String(dst)))
    .map(({ flags: _, ...route }) => route);
}

const peer = (verb: "ADD" | "DEL", a: Attachment) =>
  withReply(
    start(...world.host.enter(join(PEERS, "host-device")), {
      env: cniEnv(verb, a, world.cniBin),
      stdin: JSON.stringify({ ...a.config, type: "host-device", device: world.vfs[0]!.netdev }),
    }),
  );

t.test("host-device is there to be compared with", async (t) => t.ok(existsSync(join(PEERS, "host-device"))));

for (const via of WAYS)
  for (const { when, routes } of ROWS)
    t.test(`ADD sets ${when} where host-device does, and DEL takes ours alone away (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        world.ipam.gives({ ips: [V4, V6], routes });
        const theirs = world.attachment(pod, { deviceID: undefined });
        t.equal((await peer("ADD", theirs)).exit, 0);
        const want = await routesOf(pod);
        t.equal((await peer("DEL", theirs)).exit, 0);
        await world.host.batch([`link set ${world.vfs[0]!.netdev} alias ""`]);
        const a = world.attachment(pod);
        const { exit, stdout } = await world.call(via, "ADD", a);
        t.equal(exit, 0, stdout);
        t.same(await routesOf(pod), want);
        t.equal((await world.call(via, "DEL", a)).exit, 0);
      }),
    );

for (const via of WAYS) {
  t.test(`ADD takes a route that is given twice as one (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.ipam.gives({
        ips: [V4, V6],
        routes: [...twice({ dst: "10.30.0.0/16" }), ...twice({ dst: "fd00:30::/48" })],
      });
      const a = world.attachment(pod);
      const { exit, stdout } = await world.call(via, "ADD", a);
      t.equal(exit, 0, stdout);
      const own = (await inside(pod)).routes.filter((route) => /:?30[.:]/.test(route));
      t.same(own, ["10.30.0.0/16 via 10.20.0.1 dev net1", "fd00:30::/48 via fd00:20::1 dev net1 metric 1024"]);
      t.equal((await world.call(via, "DEL", a)).exit, 0);
    }),
  );

  t.test(`two rails with one prefix: DEL of either leaves the other's route (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      for (const first of [0, 1]) {
        const rails = [await rail(via, 0), await rail(via, 1)];
        t.same(await devicesTo("10.0.0.0/8"), ["eth0", "net1", "net2"]);
        t.same(await devicesTo("default"), ["eth0", "eth0", "net1", "net1", "net2", "net2"], "of both families");
        t.equal((await world.call(via, "DEL", rails[first]!)).exit, 0);
        t.same(await devicesTo("10.0.0.0/8"), ["eth0", `net${2 - first}`]);
        t.equal((await world.call(via, "DEL", rails[1 - first]!)).exit, 0);
      }
    }),
  );

  t.test(`an ADD that fails after its routes leaves none, and takes none of the pod's (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.faults("add-configured fail");
      world.ipam.gives({ ips: [V4, V6], routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }, { dst: "10.0.0.0/8" }] });
      const before = await routesOf(pod);
      const a = world.attachment(pod, { sourceRules: true });
      t.equal((await world.call(via, "ADD", a)).exit, 1);
      t.same(await routesOf(pod), before);
      t.same((await inside(pod)).rules, []);
    }),
  );

  t.test(`DEL removes the rules that ADD set and no other, however many there are (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      world.ipam.gives({ ips: [V4, V6] });
      const own = ["500: from 10.20.0.5 lookup 99", "500: from fd00:20::5 lookup 99"];
      await tenants(other, "add");
      const before = await inside(other);
      const a = world.attachment(other, { sourceRules: { table: 99, priority: 500 } });
      const { exit, stdout } = await world.call(via, "ADD", a);
      t.equal(exit, 0, stdout);
      t.same((await inside(other)).rules, [...before.rules, ...own].sort(), "ours beside one that is the same");
      const { ms, exit: deleted } = await world.call(via, "DEL", a);
      t.equal(deleted, 0);
      t.ok(ms < 3000, `${ms} ms; looking at each rule for each address took longer`);
      t.same((await inside(other)).rules, before.rules);
      await tenants(other, "del");
    }),
  );
}

t.test("DEL asks a pod with 20,000 rules for no more than one without, and reads no more", async (t) => {
  await world.use("alone");
  const counts = async (rules: number) => {
    const crowded = await world.pod();
    // The lowest preference last, so that the kernel need not walk to where it belongs.
    await crowded.batch(
      Array.from({ length: rules }, (_, i) => `rule add from 10.77.${i >> 8}.${i & 255} table 77 pref ${30_000 - i}`),
    );
    const del = async (change?: Json) => {
      const a = world.attachment(crowded, { sourceRules: { table: 99 } }, { env: { RAILNET_DEBUG: "netlink" } });
      world.ipam.gives({ ips: [V4, V6] });
      t.equal((await world.call("alone", "ADD", a)).exit, 0);
      if (change) world.editRecord(change);
      const { exit, stderr } = await world.call("alone", "DEL", a);
      t.equal(exit, 0);
      t.equal(await crowded.exec("ip", "rule", "show", "table", "99"), "", "ours are gone");
      return {
        asked: (stderr.match(/^netlink > /gm) ?? []).length,
        read: (stderr.match(/^netlink < /gm) ?? []).length,
      };
    };
    const [now, older] = [await del(), await del({ rules: undefined, hasRules: true })];
    await world.removePod(crowded);
    return { now, older };
  };
  const [few, many] = [await counts(10), await counts(20_000)];
  t.ok(few.now.asked > 5 && few.now.read > 5, JSON.stringify(few));
  t.same(many.now, few.now);
  t.equal(many.older.asked, few.older.asked, "by a record of an older version they are listed, once");
  t.equal(many.older.read - few.older.read, 19_990, "and each is looked at once");
});

for (const via of WAYS)
  t.test(`CNI_NETNS_OVERRIDE: in the host's own namespace, too, DEL takes ours alone away (${via})`, async (t) => {
    await world.use(via);
    const own = [
      "link add ov0 type veth peer name ov1",
      "link set ov0 up",
      "link set ov1 up",
      "addr add 10.99.0.1/24 dev ov0",
    ];
    await world.host.batch([...own, "route add default via 10.99.0.2", "rule add from 10.20.0.5 table 98"]);
    const before = [await routesOf(world.host), (await inside(world.host)).rules];
    world.ipam.gives({ ips: [V4], routes: [{ dst: "0.0.0.0/0" }, { dst: "10.30.0.0/16" }] });
    for (const fault of [[], ["add-configured fail"]]) {
      world.faults(...fault);
      const a = world.attachment(world.host, { sourceRules: { table: 99 } }, { env: { CNI_NETNS_OVERRIDE: "1" } });
      const { exit, stdout } = await world.call(via, "ADD", a);
      t.equal(exit, fault.length, stdout);
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      t.same([await routesOf(world.host), (await inside(world.host)).rules], before, "routes and rules are as before");
    }
    world.faults();
    await world.host.batch(["rule del from 10.20.0.5 table 98", "link del ov0"]);
  });

const twice = (route: Json): Json[] => [route, route];

async function rail(via: Via, r: number): Promise<Attachment> {
  const ips = [
    { address: `10.2${r}.0.5/24`, gateway: `10.2${r}.0.1` },
    { address: `fd00:2${r}::5/64`, gateway: `fd00:2${r}::1` },
  ];
  world.ipam.gives({ ips, routes: [{ dst: "10.0.0.0/8" }, { dst: "0.0.0.0/0" }, { dst: "::/0" }] });
  const vf = world.vfs.find(({ rail }) => rail === `rail${r}`)!;
  const a = world.attachment(pod, { deviceID: vf.pci }, { ifname: `net${r + 1}` });
  const { exit, stdout } = await world.call(via, "ADD", a);
  if (exit !== 0) throw new Error(stdout);
  return a;
}

async function devicesTo(dst: string): Promise<string[]> {
  const routes = (await routesOf(pod)).filter((route) => route["dst"] === dst);
  return routes
    .flatMap(({ dev, nexthops }) => (nexthops as Json[])?.map((hop) => String(hop["dev"])) ?? [String(dev)])
    .sort();
}

/** What a pod with NET_ADMIN has: a rule like ours to the letter, others of our address, and many. */
async function tenants(netns: Netns, verb: "add" | "del"): Promise<void> {
  const many = Array.from(
    { length: 3000 },
    (_, i) => `rule ${verb} from 10.77.${i >> 8}.${i & 255} table 77 pref 2000`,
  );
  const like = [
    "from 10.20.0.5 table 99 pref 500",
    "from 10.20.0.5 table 98 pref 500",
    "from 10.20.0.0/24 table 99 pref 500",
  ];
  await netns.batch([...like.map((rule) => `rule ${verb} ${rule}`), ...many]);
}

await until("the world is quiet", () => world.processes().length === 0);
