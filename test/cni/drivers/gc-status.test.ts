// GC ends what its list leaves out, of its own network alone; STATUS says whether an ADD could work.
import { readdirSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { DoubleNode } from "./support/node.ts";
import { PROFILES } from "./support/profiles.ts";

const open = (vfs = 3) => new DoubleNode(PROFILES.igb, { vfs });
const records = (node: DoubleNode): number => readdirSync(join(node.dir, "state/attachments")).length;
const listed = (containerID: string, ifname = "net1") => ({ containerID, ifname });

t.test("GC ends the attachments of its network that the list leaves out, and asks the IPAM plugin", async (t) => {
  using node = open();
  const before = [0, 1, 2].map((i) => node.picture(i));
  const [a, b, c] = [node.pod(), node.pod(), node.pod()];
  await node.add(a, {}, 0);
  await node.add(b, {}, 1);
  await node.add(c, { name: "rail9" }, 2);
  await node.gc(undefined);
  t.equal(records(node), 3, "no list is not an empty one");
  node.asked.length = 0;
  await node.gc([listed(b.id), listed("somebody"), listed(a.id, "net2")]);
  node.settle();
  t.same(node.picture(0), before[0], "a's is back");
  t.equal(node.picture(1).isHome, false, "b is listed");
  t.equal(node.picture(2).isHome, false, "c is another network's");
  t.same(node.asked, ["DEL", "GC"]);
  await node.gc([]);
  node.settle();
  t.same(node.picture(1), before[1]);
  t.equal(records(node), 1);
});

t.test("GC goes on past what fails, and says which and why", async (t) => {
  using node = open();
  const [a, b] = [node.pod(), node.pod()];
  await node.add(a, {}, 0);
  await node.add(b, {}, 1);
  node.failRelease = "no API server";
  const error = (await node.gc([]).catch((e: unknown) => e)) as { code: number; message: string };
  t.equal(error.code, 100);
  t.match(error.message, /^cannot collect 2 of 2: .*no API server.*; .*no API server.*; double-ipam: .*no API server/);
  t.match(error.message, new RegExp(`${a.id}.*${b.id}|${b.id}.*${a.id}`));
  node.settle();
  t.same([node.picture(0).isHome, node.picture(1).isHome], [true, true], "the VFs are back all the same");
  await t.rejects(node.gc([listed(a.id), listed(b.id)]), {
    code: 100,
    message: /^cannot collect addresses: double-ipam: .*no API server/,
  });
  node.failRelease = "";
  await node.gc([]);
  t.equal(records(node), 0);
});

t.test("GC ends a set whole, by the name that the runtime knows", async (t) => {
  using node = open();
  const pod = node.pod();
  const set = { rails: [{}, {}], deviceID: [0, 1].map((i) => node.vf(i).link.pci).join() };
  await node.add(pod, set);
  await node.gc([listed(pod.id)], set);
  t.equal(records(node), 2, "listed as net1");
  await node.gc([listed(pod.id, "rail0"), listed(pod.id, "rail1")], set);
  t.equal(records(node), 0, "the rails' own names are nobody's");
});

t.test("STATUS is well where an ADD could work, and asks the IPAM plugin", async (t) => {
  using node = open();
  node.asked.length = 0;
  await node.status();
  t.same(node.asked, ["STATUS"]);
  await node.status({ ipam: {} });
  t.same(node.asked, ["STATUS"], "there is nobody to ask");
  node.failRelease = "no API server";
  await t.rejects(node.status(), { code: 100, message: /no API server/ });
});

for (const { when, vfs, plant, config, code, message } of [
  { when: "the rail is no PF", plant: () => {}, config: { rail: "ens9" }, code: 50, message: 'cannot attach: rail "ens9" is not a PF of this node' },
  { when: "a rail of a set is no PF", plant: () => {}, config: { rails: [{ rail: "ens1" }, { rail: "ens9" }] }, code: 50, message: /rail "ens9" is not a PF of this node/ },
  { when: "the PF has no VFs", vfs: 0, plant: () => {}, config: {}, code: 50, message: "cannot attach: ens1 has no VFs; write their number to sriov_numvfs" },
  { when: "there is no PF", plant: (node: DoubleNode) => node.sysfs.removeNetdev("0000:a0:00.0", "ens1"), config: {}, code: 50, message: "cannot attach: this node has no SR-IOV device" },
] as { when: string; vfs?: number; plant(node: DoubleNode): void; config: object; code: number; message: string | RegExp }[]) // biome-ignore format: rows
  t.test(`STATUS says that ${when}`, async (t) => {
    using node = open(vfs);
    plant(node);
    await t.rejects(node.status(config), { code, message });
  });

t.test("STATUS of a rail by name says whether its PF has a carrier", async (t) => {
  using node = open();
  node.nic.pf.up = false;
  await t.rejects(node.status({ rail: "ens1" }), {
    code: 51,
    message: 'rail "ens1": PF ens1 has no carrier; check cable and switch port',
  });
  await node.status();
  node.nic.pf.up = true;
  await node.status({ rail: "ens1" });
});
