// A pod may do to its namespace what it likes, with the rights that NET_ADMIN gives there. What a VF was, and which link
// it is, is not the pod's to say.
import t, { type Test } from "tap";
import { type Attachment, type Via, WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create();
t.teardown(() => world.close());
const [vf, other] = world.vfs;
const PF = "0000:a0:00.0";

async function succeeds(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<void> {
  const { exit, stdout, stderr } = await world.call(via, verb, a);
  t.equal(exit, 0, `${verb} of ${a.id}: ${stdout}${stderr}`);
}

async function reconcile(t: Test): Promise<void> {
  const { exit, stdout, stderr } = await world.railnet("reconcile");
  t.equal(exit, 0, stdout + stderr);
}

/** Aliases in our own form, with which a pod might hope to name what root then acts on. */
const ALIASES = {
  "the PF": `railnet ${PF} rail0 02:66:66:66:66:66 576`,
  "a link of the host": `railnet ${vf!.pci} bare 02:66:66:66:66:66 576`,
  "another VF": `railnet ${other!.pci} ${other!.netdev} 02:66:66:66:66:66 576`,
  "its own VF, with another name, MAC and MTU": `railnet ${vf!.pci} evil0 02:66:66:66:66:66 576`,
  "no VF": `railnet ${"x".repeat(200)} a b 1`,
};

/** What a pod does to the link that ADD gave it; `net1` is the VF's. */
const TRICKS: Readonly<Record<string, readonly string[]>> = {
  "another link in the VF's place, with its name and alias": [
    "link set net1 down",
    "link set net1 name x",
    "link add net1 type ifb",
    `link set net1 alias '${ALIASES["its own VF, with another name, MAC and MTU"]}'`,
  ],
  "another link with the VF's alias and no link of the VF's name": [
    "link set net1 down",
    "link set net1 name x",
    "link add ifb7 type ifb",
    `link set ifb7 alias '${ALIASES["its own VF, with another name, MAC and MTU"]}'`,
  ],
  "the PF's name as an altname": ["link property add dev net1 altname rail0"],
  "another VF's name as an altname": [`link property add dev net1 altname ${other!.netdev}`],
  "its own old name as an altname": [`link property add dev net1 altname ${vf!.netdev}`],
  "links on top of it": ["link add link net1 name mv type macvlan", "link set net1 down", "link set net1 name y"],
  "a bridge around it": ["link add br9 type bridge", "link set net1 master br9"],
};

for (const via of WAYS) {
  for (const [what, lines] of Object.entries(TRICKS))
    t.test(`DEL brings the VF home though the pod made ${what} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const pod = await world.pod();
        const a = world.attachment(pod, { mac: "02:00:00:00:00:aa", mtu: 1400 });
        await succeeds(t, via, "ADD", a);
        await pod.batch(lines);
        await succeeds(t, via, "DEL", a);
        for (const link of (await pod.show("link")) as { ifname: string; linkinfo?: { info_kind: string } }[])
          if (link.ifname !== "eth0")
            t.not(link.linkinfo?.info_kind, "veth", `${link.ifname}, which stays, is the pod's own`);
        await world.removePod(pod);
      }),
    );

  for (const [whom, alias] of Object.entries(ALIASES)) {
    t.test(`an alias that names ${whom} changes nothing of it when the VF falls back (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const pod = await world.pod();
        const a = world.attachment(pod);
        await succeeds(t, via, "ADD", a);
        await pod.batch([
          "link set net1 down",
          `link set net1 alias '${alias}'`,
          `link set net1 netns ${world.host.path} name dev7`,
        ]);
        await world.removePod(pod);
        await reconcile(t);
        await reconcile(t);
        await succeeds(t, via, "DEL", { ...a, netns: "" });
      }),
    );

    t.test(`an alias that names ${whom} is no record for a DEL of a container that had none (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        const pod = await world.pod();
        await pod.batch(["link add net1 type ifb", `link set net1 alias '${alias}'`]);
        await succeeds(t, via, "DEL", world.attachment(pod));
        t.equal((await inside(pod)).alias, alias);
        await world.removePod(pod);
      }),
    );
  }

  t.test(`a VF that falls back without a record is what root noted, whatever its alias says (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod);
      await succeeds(t, via, "ADD", a);
      world.editRecord({ version: 0 });
      await pod.batch([
        "link set net1 down",
        "link set net1 address 02:66:66:66:66:66 mtu 576",
        `link set net1 alias '${ALIASES["its own VF, with another name, MAC and MTU"]}'`,
        `link set net1 netns ${world.host.path}`,
      ]);
      world.sysfs.removeNetdev(vf!.pci, vf!.netdev);
      world.sysfs.addNetdev(vf!.pci, "net1");
      await world.railnet("reconcile");
      world.sysfs.removeNetdev(vf!.pci, "net1");
      world.sysfs.addNetdev(vf!.pci, vf!.netdev);
      await succeeds(t, via, "DEL", { ...a, netns: "" });
      await world.removePod(pod);
    }),
  );

  t.test(`an ADD of such a VF puts it right first (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod);
      await succeeds(t, via, "ADD", a);
      const before = await inside(pod);
      world.editRecord({ version: 0 });
      await pod.batch([
        "link set net1 down",
        "link set net1 address 02:66:66:66:66:66 mtu 576",
        `link set net1 netns ${world.host.path} name ${vf!.netdev}`,
      ]);
      const next = world.attachment(pod);
      await succeeds(t, via, "ADD", next);
      t.match(await inside(pod), { mac: before.mac, mtu: before.mtu });
      await succeeds(t, via, "DEL", next);
      await succeeds(t, via, "DEL", { ...a, netns: "" });
      await world.railnet("reconcile");
      await world.removePod(pod);
    }),
  );

  t.test(`DEL with a record that is cut and an alias that the pod took away puts the VF back (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod, { mac: "02:00:00:00:00:aa", mtu: 1400 });
      await succeeds(t, via, "ADD", a);
      world.editRecord({ version: 0 });
      await pod.batch(["link set net1 down", "link set net1 name x", 'link set x alias ""']);
      await succeeds(t, via, "DEL", a);
      t.same((await inside(pod)).links, ["lo"]);
      await world.removePod(pod);
    }),
  );

  t.test(`DEL of a record that knows no index, of 0.1.0, finds the VF (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const a = world.attachment(pod, { mac: "02:00:00:00:00:aa", mtu: 1400 });
      await succeeds(t, via, "ADD", a);
      world.editRecord({ link: undefined });
      await succeeds(t, via, "DEL", a);
      t.same((await inside(pod)).links, ["lo"]);
      await world.removePod(pod);
    }),
  );

  t.test(`ADD and DEL of a VF whose index the pod has already (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const pod = await world.pod();
      const { netdev } = vf!;
      const ends = async () =>
        (await world.host.showAll(`link show ${netdev}`, `link show ${netdev}p`)).map(
          ([l = {}]) => `index ${l["ifindex"]} address ${l["address"]}`,
        );
      const [own = "", port = ""] = await ends();
      await pod.batch([`link add eth9 index ${own.split(" ")[1]} type ifb`]);
      const a = world.attachment(pod);
      await succeeds(t, via, "ADD", a);
      await pod.batch(["link set net1 down", "link set net1 name x", 'link set x alias ""']);
      await succeeds(t, via, "DEL", a);
      t.same((await inside(pod)).links, ["lo", "eth9"]);
      t.match(await ends(), [new RegExp(own.split(" ")[3]!), port], "it has the pod's index, and is else as before");
      await world.host.batch([
        `link del ${netdev}`,
        `link add ${netdev} ${own} type veth peer name ${netdev}p ${port}`,
        `link set ${netdev}p up`,
      ]);
      await world.removePod(pod);
    }),
  );
}
