// A pod may put another link in the VF's place at any moment, also between our look and our request: nothing that the
// kernel offers looks and changes in one.
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { DoubleNode } from "./support/node.ts";
import { PROFILES } from "./support/profiles.ts";

const { Locks } = await import("../../../records/lock.ts"); // after the redirection

const owed = (node: DoubleNode) => {
  const dir = join(node.dir, "state/owed");
  return existsSync(dir) ? readdirSync(dir) : [];
};
const hostLinks = (node: DoubleNode) => [...node.kernel.host.links.values()].map(({ name }) => name).sort();

for (const times of [1, 2, 9])
  t.test(
    `DEL takes no other link home that a pod puts in the VF's place while it is moved, ${times} times`,
    async (t) => {
      using node = new DoubleNode(PROFILES.igb);
      const [before, links] = [node.picture(), hostLinks(node)];
      const pod = node.pod();
      await node.add(pod, {});
      const { link } = node.vf();
      const inner = node.kernel.addNamespace(join(node.dir, "netns/inner"));
      let left = times;
      node.kernel.onMove = (from) => {
        if (from !== pod.namespace || left-- <= 0) return;
        if (from.links.has(link.index) && from.links.get(link.index) === link) node.kernel.move(link, from, inner);
        const { index, mac, alias } = link;
        node.kernel.addVirtual(from, { index, name: "net1", mac, alias });
      };
      await node.del(pod, {});
      t.same(
        hostLinks(node),
        links.filter((name) => name !== before.name),
        "nothing of the pod's is in the host's namespace",
      );
      t.same(owed(node), [`${link.pci}.json`], "the VF is owed its link");
      await t.rejects(node.add(node.pod(), {}), {
        message: /it is not fully restored since .*: link \(cannot put .* back: its link is in no namespace/,
      });
      node.kernel.removeNamespace(inner);
      t.match(await node.reconcile(), [{ reason: "owed" }]);
      t.same(node.picture(), before, "the VF is as it was");
      t.same(owed(node), []);
    },
  );

t.test("a VF that falls back under another one's name, or altname, steps aside for it", async (t) => {
  for (const how of ["name", "altname"]) {
    using node = new DoubleNode(PROFILES.igb);
    const before = [node.picture(0), node.picture(1)];
    const [evil, good] = [node.pod(), node.pod()];
    await node.add(evil, {}, 0);
    await node.add(good, {}, 1);
    const { link } = node.vf(0);
    if (how === "name") link.name = "ens1v1";
    else link.altnames.push("ens1v1");
    node.removePod(evil);
    await node.del(good, {}, 1);
    t.same(node.picture(1), before[1], `${how}: the other one has its name`);
    await node.del(evil, {}, 0);
    t.same([node.picture(0), node.picture(1)], before, `${how}: and so has it`);
  }
});

for (const how of ["name", "altname"])
  t.test(`VFs that fell back under each other's names, as ${how}, and are put back at the same time`, async (t) => {
    using node = new DoubleNode(PROFILES.igb);
    const before = [node.picture(0), node.picture(1)];
    const pods = [node.pod(), node.pod()];
    for (const [i, pod] of pods.entries()) await node.add(pod, {}, i);
    for (const [i, pod] of pods.entries()) {
      const { link } = node.vf(i);
      if (how === "name") link.name = `ens1v${1 - i}`;
      else link.altnames.push(`ens1v${1 - i}`);
      node.removePod(pod);
    }
    await Promise.all(pods.map((pod, i) => node.del(pod, {}, i)));
    t.same([node.picture(0), node.picture(1)], before);
    t.same(owed(node), []);
  });

t.test("a VF whose name another one has, which is in somebody's hands, is owed it", async (t) => {
  using node = new DoubleNode(PROFILES.igb);
  const before = [node.picture(0), node.picture(1)];
  const [evil, good] = [node.pod(), node.pod()];
  await node.add(evil, {}, 0);
  await node.add(good, {}, 1);
  node.vf(0).link.name = "ens1v1";
  node.removePod(evil);
  const held = new Locks(join(node.dir, "run")).tryAcquire(`vf-${node.vf(0).link.pci}`);
  await node.del(good, {}, 1);
  t.same(owed(node), [`${node.vf(1).link.pci}.json`], "DEL does not wait for ever");
  held![Symbol.dispose]();
  await node.reconcile();
  t.same([node.picture(0), node.picture(1)], before, "then both have their own");
  t.same(owed(node), []);
});

for (const alias of [
  "railnet 0000:a0:00.0 ens1 02:66:66:66:66:66 576",
  "railnet 0000:a0:02.1 ens1v1 02:66:66:66:66:66 576",
])
  t.test(`a VF with the alias "${alias}" whose record is lost is a stray itself, and nobody else is`, async (t) => {
    using node = new DoubleNode(PROFILES.igb);
    const own = node.picture(0);
    const pod = node.pod();
    await node.add(pod, {}, 0);
    const { link } = node.vf(0);
    link.alias = alias;
    const others = () => [node.picture(1), { ...node.nic.pf }];
    const before = others();
    for (const name of readdirSync(join(node.dir, "state/attachments")))
      rmSync(join(node.dir, "state/attachments", name));
    node.removePod(pod);
    await node.reconcile();
    await node.del(pod, {}, 0);
    t.same(others(), before);
    t.same(node.picture(0), own);
  });

t.test("what a VF was is root's note of this boot, not what its link says", async (t) => {
  using node = new DoubleNode(PROFILES.igb);
  const before = node.picture();
  await node.reconcile();
  const pod = node.pod();
  await node.add(pod, {}, 0);
  for (const name of readdirSync(join(node.dir, "state/attachments")))
    rmSync(join(node.dir, "state/attachments", name));
  const { link } = node.vf(0);
  Object.assign(link, { alias: `railnet ${link.pci} evil 02:66:66:66:66:66 576`, mac: "02:66:66:66:66:66", mtu: 576 });
  node.removePod(pod);
  t.match(await node.reconcile(), [{ reason: "stray" }]);
  t.same(node.picture(), before);
});

t.test("a record never has anything but a VF written to", async (t) => {
  using node = new DoubleNode(PROFILES.igb);
  const pod = node.pod();
  await node.add(pod, {}, 0);
  const dir = join(node.dir, "state/attachments");
  const [name] = readdirSync(dir);
  const text = readFileSync(join(dir, name!), "utf8");
  rmSync(join(dir, name!));
  const pf = "0000:a0:00.0";
  writeFileSync(join(dir, name!.replace(/@.*/, `@${pf}.json`)), text.replaceAll(node.vf().link.pci, pf));
  const before = { ...node.nic.pf };
  await node.del(pod, {}, 0);
  t.same({ ...node.nic.pf }, before);
  t.ok(node.warnings.includes("nothing is restored, only the addresses are released"));
});
