// Sets of VFs, on each driver: all or none, undone whole whatever fails where, and what a crash leaves of one is no half of it.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { DoubleNode } from "./support/node.ts";
import { PROFILES, type Profile } from "./support/profiles.ts";

const CONFIG = { rails: [{ vlan: 50 }, { name: "left", trust: "on" }, {}] };
const NAMES = ["rail0", "left", "rail2"];
const VFS = NAMES.length;

const config = (node: DoubleNode, more: object = {}): object => ({
  ...CONFIG,
  deviceID: NAMES.map((_, i) => node.vf(i).link.pci).join(),
  ...more,
});
const pictures = (node: DoubleNode) => NAMES.map((_, i) => node.picture(i));
const recordsDir = (node: DoubleNode) => join(node.dir, "state/attachments");
const records = (node: DoubleNode): string[] => readdirSync(recordsDir(node));
const namesIn = ({ namespace }: ReturnType<DoubleNode["pod"]>): string[] => [...namespace.links.values()].map(({ name }) => name).sort(); // biome-ignore format: one row

/** The record of an interface as a process left it that was killed before it had said that it is attached. */
function unsay(node: DoubleNode, ifname: string): void {
  for (const name of records(node)) {
    const file = join(recordsDir(node), name);
    const lines = readFileSync(file, "utf8").trim().split("\n").map((line) => JSON.parse(line)); // biome-ignore format: one row
    if (lines[0].ifname !== ifname) continue;
    const left = lines.filter((line) => line.phase !== "attached").map((line) => JSON.stringify(line));
    writeFileSync(file, left.join("\n"));
  }
}

for (const [name, profile] of Object.entries(PROFILES) as [string, Profile][]) {
  t.test(`${name}: a set is attached and checked as one, and goes back`, async (t) => {
    using node = new DoubleNode(profile, { vfs: VFS });
    const before = pictures(node);
    const pod = node.pod();
    const result = await node.add(pod, config(node));
    t.match(result, {
      interfaces: NAMES.map((one, i) => ({ name: one, sandbox: pod.path, pciID: node.vf(i).link.pci })),
    });
    t.same(
      (result["ips"] as { interface: number }[]).map((ip) => ip.interface),
      [0, 1, 2],
    );
    t.same(namesIn(pod), [...NAMES].sort());
    t.same(
      [0, 1, 2].map((i) => [...node.vf(i).link.altnames].includes("net1")),
      [true, false, false],
    );
    t.match([node.picture(0).state, node.picture(1).state], [{ vlan: 50 }, { vlan: 0, trust: true }]);
    await node.check(pod, config(node), result);
    await t.rejects(node.add(pod, config(node)), { code: 102, message: /^rail0: cannot attach: .* already has VF/ });
    await node.del(pod, config(node));
    node.settle();
    t.same(pictures(node), before);
    t.same(records(node), []);
  });

  t.test(`${name}: whatever fails, wherever: nothing of a set is left`, async (t) => {
    using node = new DoubleNode(profile, { vfs: VFS });
    const before = pictures(node);
    const steps: string[] = [];
    const trial = node.pod();
    let seen = 0;
    node.onStep = (step) => void steps.push(step);
    await node.add(trial, config(node));
    node.onStep = () => {};
    await node.del(trial, config(node));
    node.settle();
    t.ok(steps.length > 3 * VFS, "most steps are done for each rail");
    for (const at of steps.slice(0, -1).keys()) {
      const pod = node.pod();
      seen = 0;
      node.onStep = () => {
        if (seen++ === at) throw new Error("fault");
      };
      await t.rejects(node.add(pod, config(node)), { message: /fault/ }, `${steps[at]} (${at})`);
      node.onStep = () => {};
      node.settle();
      t.same({ now: pictures(node), left: records(node), pod: namesIn(pod) }, { now: before, left: [], pod: [] });
      await node.del(pod, config(node));
    }
  });
}

const ANY: Profile = PROFILES.igb;

t.test("what one rail cannot have is said with its name, and no other is touched", async (t) => {
  using node = new DoubleNode(ANY, { vfs: VFS });
  const before = pictures(node);
  const other = node.pod();
  await node.add(other, {}, 1);
  const pod = node.pod();
  await t.rejects(node.add(pod, config(node)), { code: 102, message: new RegExp(`^left: cannot attach ${node.vf(1).link.pci}: it is in use by container ${other.id}`) }); // biome-ignore format: one row
  t.same(namesIn(pod), []);
  t.equal(records(node).length, 1);
  await node.del(pod, config(node));
  t.same(namesIn(other), ["net1"], "the DEL that follows leaves the owner alone");
  await node.del(other, {}, 1);
  node.settle();
  t.same(pictures(node), before);
});

t.test("interfaces of another call of the same pod are neither taken nor ended", async (t) => {
  using node = new DoubleNode(ANY, { vfs: 2 * VFS });
  const pod = node.pod();
  await node.add(pod, config(node));
  const second = { ...config(node), deviceID: [3, 4, 5].map((i) => node.vf(i).link.pci).join() };
  const env = { CNI_IFNAME: "net2" };
  await t.rejects(node.add(pod, second, 0, env), {
    code: 102,
    message: /^rail0: cannot attach: container c0 \(rail0\)/,
  });
  await node.del(pod, second, 0, env);
  t.same(namesIn(pod), [...NAMES].sort());
  t.equal(records(node).length, VFS);
  await node.del(pod, config(node));
  t.same(records(node), []);
});

for (const ifname of NAMES)
  t.test(`a set of which ${ifname} was not said to be attached is ended by the reconciler, whole`, async (t) => {
    using node = new DoubleNode(ANY, { vfs: VFS });
    const before = pictures(node);
    const pod = node.pod();
    await node.add(pod, config(node));
    t.same(await node.reconcile(), [], "a whole one is left alone");
    for (const one of NAMES.slice(0, NAMES.indexOf(ifname) + 1)) unsay(node, one); // the last rail's record says so first
    await node.reconcile();
    await node.reconcile();
    node.settle();
    t.same({ now: pictures(node), left: records(node) }, { now: before, left: [] });
  });

t.test("DEL ends what is on record, whatever the network has become", async (t) => {
  using node = new DoubleNode(ANY, { vfs: VFS });
  const before = pictures(node);
  for (const now of [{}, { rails: [{}] }, { rails: [{ name: "other" }, {}] }, { rails: "odd" }, { rails: undefined }]) {
    const pod = node.pod();
    await node.add(pod, config(node));
    await node.del(pod, config(node, now));
    node.settle();
    t.same({ now: pictures(node), left: records(node) }, { now: before, left: [] }, JSON.stringify(now));
  }
});

t.test("one rail whose addresses cannot be released holds up no other, and DEL can be tried again", async (t) => {
  using node = new DoubleNode(ANY, { vfs: VFS });
  const before = pictures(node);
  const pod = node.pod();
  await node.add(pod, config(node));
  node.failRelease = "not now";
  await t.rejects(node.del(pod, config(node)), { message: /rail2: not now; left: not now; rail0: not now/ });
  node.settle();
  t.same(pictures(node), before);
  node.failRelease = "";
  await node.del(pod, config(node));
  t.same(records(node), []);
});
