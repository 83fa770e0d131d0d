// Walks the table of cni/attachment/README.md: each row is changed in the pod, and looked at after DEL and after the next ADD.
import { spawn } from "node:child_process";
import { once } from "node:events";
import t from "tap";
import { WAYS } from "../../lab/netns/call.ts";
import { bpf, linkPicture } from "../../lab/netns/link-picture.ts";
import type { Netns } from "../../lab/netns/netns.ts";
import { start } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const [vf] = world.vfs;
const HOME = vf!.netdev;

/** One row, or some that one command shows: how a pod changes it; `mute` when CHECK has to say so. */
interface Change {
  readonly row: string;
  readonly commands: readonly (readonly string[])[];
  /** Undoes it, and what CHECK says of it meanwhile. */
  readonly mute?: { readonly back: string; readonly says: RegExp };
}

const ip = (line: string) => ["ip", ...line.split(" ")];
const link = (row: string, set: string): Change => ({ row, commands: [ip(`link set net1 ${set}`)] });
const mute = (row: string, set: string, back: string, says: RegExp): Change => ({
  ...link(row, set),
  mute: { back, says },
});

const CHANGES: readonly Change[] = [
  mute("ARP", "arp off", "arp on", /its arp is off, ADD set on/),
  mute("multicast", "multicast off", "multicast on", /its multicast is off, ADD set on/),
  mute(
    "broadcast address",
    "broadcast 00:11:22:33:44:55",
    "broadcast ff:ff:ff:ff:ff:ff",
    /its broadcast is 00:11:22:33:44:55, ADD set ff:ff:ff:ff:ff:ff/,
  ),
  mute("link mode", "mode dormant", "mode default", /its mode is 1, ADD set 0/),
  link("promiscuous mode", "promisc on"),
  link("all multicast", "allmulticast on"),
  link("`dynamic`, `trailers`", "dynamic on trailers off"),
  link("queue length", "txqueuelen 77"),
  link("group", "group 7"),
  link("GSO and GRO sizes", "gso_max_size 30000 gso_max_segs 33 gro_max_size 31000"),
  link("MAC", "address 02:00:00:00:00:cc"),
  link("MTU", "mtu 1300"),
  { row: "alternative names", commands: [ip("link property add dev net1 altname other")] },
  { row: "XDP program", commands: [bpf("xdp", "net1")] },
  { row: "tcx programs", commands: [bpf("tcx", "net1")] },
  {
    row: "queueing disciplines, filters",
    commands: [
      ["tc", "qdisc", "replace", "dev", "net1", "root", "handle", "1:", "htb"],
      ["tc", "qdisc", "add", "dev", "net1", "clsact"],
    ],
  },
  { row: "multicast and unicast addresses", commands: [ip("maddr add 33:33:00:00:00:99 dev net1")] },
  { row: "features", commands: [["ethtool", "-K", "net1", "gro", "off", "tx", "off"]] },
  {
    row: "upper links",
    commands: [
      ip("link add mac0 link net1 type macvlan mode bridge"),
      ip("link set mac0 up"),
      ip("link add mac1 link mac0 type macvlan"),
    ],
  },
];

/** What makes a link deaf, mute or curious. */
const HOST_SETS = [
  "arp off",
  "multicast off",
  "broadcast 00:11:22:33:44:55",
  "mode dormant",
  "promisc on",
  "allmulticast on",
];
const HOST_UNSETS = [
  "arp on",
  "multicast on",
  "broadcast ff:ff:ff:ff:ff:ff",
  "mode default",
  "promisc off",
  "allmulticast off",
];

const all = CHANGES.flatMap(({ commands }) => commands);

async function run(pod: Netns, commands: readonly (readonly string[])[]): Promise<void> {
  for (const command of commands) await pod.exec(...command);
}

const linksOf = async (pod: Netns) => (await pod.show("link")).map(({ ifname }) => ifname);

/** Pings the port of the VF's switch, over ARP. */
async function isReached(pod: Netns): Promise<boolean> {
  const { exit } = await start(...pod.enter("ping", "-q", "-c1", "-W2", "10.20.0.1"));
  return exit === 0;
}

for (const via of WAYS) {
  t.test(`what a pod does to its link is gone after DEL, and the next pod has none of it (${via})`, async (t) => {
    const [first, second] = [await world.pod(), await world.pod()];
    await world.host.batch([`addr add 10.20.0.1/24 dev ${HOME}p`]);
    await unchanged(t, world, via, async () => {
      const before = await linkPicture(world.host, HOME);
      const a = world.attachment(first);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      const fresh = await linkPicture(first, "net1");
      t.equal(await isReached(first), true);
      await run(first, all);
      const changed = await linkPicture(first, "net1");
      for (const key of Object.keys(fresh)) t.notSame(changed[key], fresh[key], `the pod has changed: ${key}`);
      t.match(await world.call(via, "DEL", a), { exit: 0, stdout: "" });
      t.same(await linkPicture(world.host, HOME), before, "after DEL");
      t.same(await linksOf(first), ["lo", "eth0"], "nothing that stood on the VF is left in the pod");
      const b = world.attachment(second);
      t.equal((await world.call(via, "ADD", b)).exit, 0);
      t.same(await linkPicture(second, "net1"), fresh, "in the next pod");
      t.equal(await isReached(second), true);
      t.equal((await world.call(via, "DEL", b)).exit, 0);
    });
    await world.host.batch([`addr del 10.20.0.1/24 dev ${HOME}p`]);
    for (const pod of [first, second]) await world.removePod(pod);
  });

  t.test(`ADD gives a clean link whatever the host has done to it, and DEL gives that back (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      const fresh = await linkPicture(pod, "net1");
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      await world.host.batch(HOST_SETS.map((set) => `link set ${HOME} ${set}`));
      const before = await linkPicture(world.host, HOME);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      t.same(await linkPicture(pod, "net1"), fresh);
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      t.same(await linkPicture(world.host, HOME), before);
      await world.host.batch(HOST_UNSETS.map((set) => `link set ${HOME} ${set}`));
      await world.removePod(pod);
    }),
  );

  t.test(`DEL by a record that knows nothing of this gives a clean link all the same (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      const { settings: _, ethtool: __, ...original } = world.record()["original"] as Record<string, unknown>;
      world.editRecord({ original });
      await pod.batch(HOST_SETS.map((set) => `link set net1 ${set}`));
      t.match(await world.call(via, "DEL", a), { exit: 0, stdout: "" });
      await world.removePod(pod);
    }),
  );

  t.test(`DEL of a VF that fell back removes what the pod left on it, and with it the pod's MAC (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const before = await linkPicture(world.host, HOME);
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      // A macvlan in passthru mode gives the link, when it goes, the MAC that that had when it came.
      await pod.batch([
        "link set net1 down",
        "link set net1 address 02:00:00:00:00:dd",
        "link add mac0 link net1 type macvlan mode passthru",
        "link set mac0 up",
        `link set net1 netns ${world.host.path}`,
      ]);
      t.match(await world.call(via, "DEL", a), { exit: 0, stdout: "" });
      t.same(await linksOf(pod), ["lo", "eth0"]);
      await world.removePod(pod);
      t.same(await linkPicture(world.host, HOME), before);
    }),
  );

  t.test(`DEL takes a program off that a living process holds (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      const holder = spawn(...pod.enter(...bpf("xdp-link", "net1")));
      await once(holder.stdout, "data");
      t.match(await world.call(via, "DEL", a), { exit: 0, stdout: "" });
      const [link] = await world.host.show("link", "show", HOME);
      t.equal(link?.["xdp"], undefined);
      holder.stdin.end();
      await once(holder, "close");
      await world.removePod(pod);
    }),
  );

  t.test(`CHECK names what makes a link deaf or mute, and nothing that a later plugin may set (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod);
      const { json: prevResult } = await world.call(via, "ADD", a);
      const check = () => world.call(via, "CHECK", { ...a, config: { ...a.config, prevResult } });
      for (const { row, commands, mute } of CHANGES.filter((change) => change.mute)) {
        await run(pod, commands);
        t.match((await check()).json, { code: 106, msg: mute!.says }, row);
        await pod.ip("link", "set", "net1", ...mute!.back.split(" "));
        t.match(await check(), { exit: 0, stdout: "" }, `${row}, back again`);
      }
      await pod.batch(["promisc on", "allmulticast on", "txqueuelen 77"].map((set) => `link set net1 ${set}`));
      t.match(await check(), { exit: 0, stdout: "" }, "what `tuning` sets");
      t.equal((await world.call(via, "DEL", a)).exit, 0);
      await world.removePod(pod);
    }),
  );
}
