// Numbers are those of the checklist in test/cni/protocol/README.md.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { type Attachment, WAYS } from "../../lab/netns/call.ts";
import { renamePf, unplug } from "../../lab/netns/devices.ts";
import { inside } from "../../lab/netns/inside.ts";
import { picture, unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const pod = await world.pod();
const other = await world.pod();
const plainFile = join(world.dir, "file");
writeFileSync(plainFile, "");
const [vf] = world.vfs;

interface Row {
  readonly when: string;
  /** What the runtime says of the attachment at DEL. */
  readonly at: (a: Attachment) => Partial<Attachment>;
  /** What happens between ADD and DEL: lines for `ip -batch` in the pod. */
  readonly ip?: readonly string[];
}

const edited = (change: object) => (a: Attachment) => ({ config: { ...a.config, ...change } });

/** After each the VF is back and its address released, all the same. */
const ROWS: readonly Row[] = [
  { when: "82: without a namespace", at: () => ({ netns: "" }) },
  { when: "83: with a namespace that is gone", at: () => ({ netns: join(world.podsDir, "gone") }) },
  { when: "84: with a plain file for a namespace", at: () => ({ netns: plainFile }) },
  { when: "with another namespace", at: () => ({ netns: other.path }) },
  { when: "with the host's namespace", at: () => ({ netns: world.host.path, env: { CNI_NETNS_OVERRIDE: "1" } }) },
  { when: "85: of an interface that is renamed", at: () => ({}), ip: ["link set net1 down", "link set net1 name x"] },
  {
    when: "85: of an interface that is back by hand",
    at: () => ({}),
    ip: ["link set net1 down", `link set net1 netns ${world.host.path} name ${vf!.netdev}`],
  },
  {
    when: "85: of an interface that is back under its pod's name",
    at: () => ({}),
    ip: [`link set net1 netns ${world.host.path}`],
  },
  {
    when: "85: of an interface that is back under the kernel's name",
    at: () => ({}),
    ip: ["link set net1 down", `link set net1 netns ${world.host.path} name dev7`],
  },
  {
    when: "with a MAC, MTU and altname of the pod's own",
    at: () => ({}),
    ip: [
      "link set net1 down",
      "link set net1 address 02:00:00:00:00:cc",
      "link set net1 mtu 900",
      "link property add dev net1 altname other",
      "link set net1 up",
    ],
  },
  { when: "87: without prevResult", at: edited({ prevResult: undefined }) },
  { when: "88: with a prevResult that is corrupt", at: edited({ prevResult: { ips: "x" } }) },
  { when: "89: with another IPAM type", at: edited({ ipam: { type: "nowhere" } }) },
  { when: "89: without IPAM", at: edited({ ipam: undefined }) },
  {
    when: "89: with fields that ADD would refuse",
    at: edited({ vlan: 5000, mac: "x", mtu: -1, rail: {}, sysctl: [] }),
  },
  { when: "90: without a device", at: edited({ deviceID: undefined }) },
  { when: "90: with another device", at: edited({ deviceID: world.vfs[1]!.pci }) },
  { when: "90: with a device that is none", at: edited({ deviceID: "eth0" }) },
  { when: "91: with another version", at: edited({ cniVersion: "0.3.1" }) },
  { when: "with another network name", at: edited({ name: "renamed" }) },
  { when: "with other CNI_ARGS", at: () => ({ env: { CNI_ARGS: "IgnoreUnknown=1;MAC=x" } }) },
];

for (const via of WAYS) {
  for (const { when, at, ip = [] } of ROWS)
    t.test(`DEL ${when} puts all back (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const a = world.attachment(pod, { mac: "02:00:00:00:00:aa", mtu: 1400 });
        const added = await world.call(via, "ADD", a);
        t.equal(added.exit, 0, added.stdout);
        if (ip.length > 0) await pod.batch(ip);
        const late = { ...a, ...at({ ...a, config: { ...a.config, prevResult: added.json } }) };
        t.match(await world.call(via, "DEL", late), { exit: 0, stdout: "", stderr: "" });
        t.equal(world.ipam.calls("DEL").length, 1, "the recorded IPAM plugin released");
        const links = [...(await inside(pod)).links, ...(await inside(other)).links];
        t.same(links, ["lo", "lo"]);
      }),
    );

  t.test(`DEL 79-81: is silent, can be repeated, and knows nothing of strangers (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod);
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      for (const each of [a, a, a, world.attachment(pod), world.attachment({ path: "" })])
        t.match(await world.call(via, "DEL", each), { exit: 0, stdout: "", stderr: "" });
      t.equal(world.ipam.calls("DEL").length, 5, "the addresses of strangers are released too");
    }),
  );

  t.test(`DEL 86: leaves an interface alone that is not ours (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      await pod.batch(["link add net1 type veth peer name net1p", "link set net1 alias mine"]);
      t.match(await world.call(via, "DEL", world.attachment(pod)), { exit: 0, stdout: "" });
      t.same((await inside(pod)).alias, "mine");
      await pod.batch(["link del net1"]);
    }),
  );

  t.test(`DEL 93: touches nothing of a VF that is another container's by now (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const first = world.attachment(pod);
      t.equal((await world.call(via, "ADD", first)).exit, 0);
      await pod.batch(["link set net1 down", `link set net1 netns ${world.host.path} name ${vf!.netdev}`]);
      const second = world.attachment(other, { mac: "02:00:00:00:00:bb" });
      t.match(await world.call(via, "ADD", second), { exit: 0 }, "the VF has left its first pod, and is free");
      const before = [await picture(world), await inside(other)];
      for (const netns of [pod.path, "", plainFile])
        t.match(await world.call(via, "DEL", { ...first, netns }), { exit: 0, stdout: "" });
      t.same([await picture(world), await inside(other)], before);
      t.equal((await world.call(via, "DEL", second)).exit, 0);
    }),
  );

  t.test(`DEL of a record of another boot touches no link and releases the address (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const first = world.attachment(pod);
      t.equal((await world.call(via, "ADD", first)).exit, 0);
      // As after a reboot: the VF is new, the record is old; and the next container is first.
      await pod.batch(["link set net1 down", `link set net1 netns ${world.host.path} name ${vf!.netdev} alias ""`]);
      world.editRecord({ bootId: "00000000-0000-0000-0000-000000000000" });
      const second = world.attachment(other);
      t.match(await world.call(via, "ADD", second), { exit: 0 }, "ADD before the old sandbox's DEL");
      t.match(await world.call(via, "DEL", { ...first, netns: "" }), { exit: 0, stdout: "" });
      t.same((await inside(other)).addresses, ["10.20.0.5/24"], "the new owner keeps its VF");
      t.same(
        world.ipam.calls("DEL").map(({ containerId }) => containerId),
        [first.id],
      );
      t.equal((await world.call(via, "DEL", second)).exit, 0);
    }),
  );

  t.test(`DEL of a VF that is no more releases its address (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod, { sourceRules: true });
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      const putBack = await unplug(world.host, world.sysfs, vf!, pod);
      t.match(await world.call(via, "DEL", a), { exit: 0, stdout: "" });
      t.same(world.records(), []);
      await putBack();
    }),
  );

  t.test(`DEL of a VF whose PF has another name by now (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod, { mac: "02:00:00:00:00:aa" });
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      await renamePf(world.host, world.sysfs, "rail0", "p0");
      const deleted = await world.call(via, "DEL", a);
      await renamePf(world.host, world.sysfs, "p0", "rail0");
      t.match(deleted, { exit: 0, stdout: "" });
    }),
  );

  t.test(`DEL of a VF whose name another link has by now gives it one of its address (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const { netdev } = vf!;
      const [before] = await world.host.show("link", "show", netdev);
      const a = world.attachment(pod, { mac: "02:00:00:00:00:aa", mtu: 1400 });
      t.equal((await world.call(via, "ADD", a)).exit, 0);
      await world.host.batch([`link add ${netdev} mtu 1300 type veth peer name taker`]);
      t.match(await world.call(via, "DEL", a), { exit: 0, stdout: "" });
      const [other] = await world.host.show("link", "show", netdev);
      t.equal(other!["mtu"], 1300, "the other one is as it was");
      const [now] = await world.host.show("link", "show", "vf0000a0020");
      t.match(now, { mtu: before!["mtu"], address: before!["address"] }, "and so is the VF");
      await world.host.batch([`link del ${netdev}`, `link set vf0000a0020 name ${netdev}`]);
    }),
  );

  t.test(`DEL of two attachments of one container in either order (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod, { sourceRules: true });
      const b = { ...a, ifname: "net2", config: { ...a.config, deviceID: world.vfs[1]!.pci } };
      for (const order of [
        [a, b],
        [b, a],
      ]) {
        world.ipam.gives({ ips: [{ address: "10.20.0.5/24" }] });
        t.equal((await world.call(via, "ADD", a)).exit, 0);
        world.ipam.gives({ ips: [{ address: "10.20.1.5/24" }] });
        t.equal((await world.call(via, "ADD", b)).exit, 0);
        t.equal((await inside(pod)).rules.length, 2);
        t.equal((await world.call(via, "DEL", order[0]!)).exit, 0);
        const kept = await inside(pod, order[1]!.ifname);
        t.match(kept, { up: true, addresses: [/^10\.20\.[01]\.5/], rules: [/10\.20/] }, "the other one is whole");
        t.equal(kept.rules.length, 1);
        t.equal((await world.call(via, "DEL", order[1]!)).exit, 0);
      }
    }),
  );
}
