// Numbers are those of the checklist in test/cni/protocol/README.md.
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { type Attachment, type Reply, type Via, WAYS } from "../../lab/netns/call.ts";
import { holdIpam } from "../../lab/netns/hold-ipam.ts";
import { inside } from "../../lab/netns/inside.ts";
import { pause } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create({ vfs: 8 });
t.teardown(() => world.close());
const pod = await world.pod();
const other = await world.pod();
const VFS = 16;

async function succeeds(t: Test, via: Via, verb: "ADD" | "DEL", a: Attachment): Promise<void> {
  const { exit, stdout, stderr } = await world.call(via, verb, a);
  t.equal(exit, 0, `${verb} of ${a.id}: ${stdout}${stderr}`);
}

const all = (via: Via, verb: "ADD" | "DEL", attachments: readonly Attachment[]): Promise<Reply[]> =>
  Promise.all(attachments.map((a) => world.call(via, verb, a)));

for (const via of WAYS) {
  t.test(`ADD of a VF in use is error 102 and names pod and container (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const env = { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=prod;K8S_POD_NAME=train-0" };
      const first = world.attachment(pod, {}, { env });
      await succeeds(t, via, "ADD", first);
      const { exit, json } = await world.call(via, "ADD", world.attachment(other));
      t.match({ exit, code: json?.["code"] }, { exit: 1, code: 102 });
      for (const word of [world.vfs[0]!.pci, "prod/train-0", first.id, "net1"]) t.match(json?.["msg"], word);
      t.same((await inside(pod)).addresses, ["10.20.0.5/24"], "its owner keeps it");
      t.same(world.ipam.calls("ADD").length, 1, "and no address was asked for");
      await succeeds(t, via, "DEL", first);
    }),
  );

  t.test(`ADD of a VF that sriov-cni has given to a live namespace is error 102 and names it (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const owner = await world.pod();
      const cache = join(world.env["RAILNET_CNI_CACHE_DIR"]!, "sriov/pci");
      mkdirSync(cache, { recursive: true });
      writeFileSync(join(cache, world.vfs[0]!.pci), owner.path);
      const a = world.attachment(pod);
      t.match(await world.call(via, "ADD", a), { exit: 1, json: { code: 102, msg: owner.path } });
      await world.removePod(owner);
      await succeeds(t, via, "ADD", a); // as sriov-cni does: what was in a dead namespace is free
      await succeeds(t, via, "DEL", a);
      rmSync(cache, { recursive: true });
    }),
  );

  t.test(`DEL with a cache file of sriov-cni that is torn succeeds (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const cache = join(world.env["RAILNET_CNI_CACHE_DIR"]!, "sriov");
      mkdirSync(cache, { recursive: true });
      const a = world.attachment(pod);
      writeFileSync(join(cache, `${a.id}-net1`), '{"OrigVfState":{"HostIFN');
      await succeeds(t, via, "DEL", a);
      rmSync(cache, { recursive: true });
    }),
  );

  t.test(`ADD 51: a second time without DEL is error 102, and takes nothing from the first (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const a = world.attachment(pod);
      await succeeds(t, via, "ADD", a);
      const before = await inside(pod);
      for (const again of [a, { ...a, config: { ...a.config, deviceID: world.vfs[1]!.pci } }])
        t.match(await world.call(via, "ADD", again), { exit: 1, json: { code: 102, msg: a.id } });
      t.same(await inside(pod), before);
      t.equal(world.ipam.calls("DEL").length, 0);
      await succeeds(t, via, "DEL", a);
    }),
  );

  t.test(`ADD 61: ${VFS} at once on ${VFS} VFs of two PFs, into two pods, all succeed, and their DELs (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const many = world.vfs.map(({ pci }, i) =>
        world.attachment(i % 2 ? pod : other, { deviceID: pci, mtu: 1400 }, { ifname: `net${i}` }),
      );
      world.ipam.on(
        "ADD",
        `echo "{\\"cniVersion\\":\\"1.1.0\\",\\"ips\\":[{\\"address\\":\\"10.20.\${CNI_IFNAME#net}.5/24\\"}]}"`,
      );
      for (const { exit, stdout } of await all(via, "ADD", many)) t.equal(exit, 0, stdout);
      const links = [...(await inside(pod)).links, ...(await inside(other)).links];
      t.same(links.filter((name) => name !== "lo").sort(), many.map((a) => a.ifname).sort());
      t.same((await inside(pod, "net7")).addresses, ["10.20.7.5/24"]);
      t.equal(world.records().length, VFS);
      for (const { exit, stdout } of await all(via, "DEL", many)) t.equal(exit, 0, stdout);
    }),
  );

  t.test(`ADD 62: of two at once for one VF exactly one wins (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const rivals = [pod, other, pod, other].map((p, i) => world.attachment(p, {}, { ifname: `net${i}` }));
      const replies = await all(via, "ADD", rivals);
      const [winner, ...more] = rivals.filter((_, i) => replies[i]!.exit === 0);
      t.same(more, []);
      for (const { exit, json } of replies.filter(({ exit }) => exit !== 0))
        t.match({ exit, msg: json?.["msg"] }, { exit: 1, msg: winner!.id });
      for (const a of rivals) await succeeds(t, via, "DEL", a);
    }),
  );

  t.test(`DEL 94: during an ADD of the same attachment wins (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const ipam = holdIpam(world);
      const a = world.attachment(pod);
      const adding = world.call(via, "ADD", a);
      await ipam.begun();
      const deleting = world.call(via, "DEL", a);
      // The agent ends the ADD; another process can only wait for it.
      if (via === "alone") await pause(100).then(ipam.release);
      const [added, deleted] = [await adding, await deleting];
      t.equal(deleted.exit, 0, deleted.stdout);
      if (via === "alone") t.equal(added.exit, 0, added.stdout);
      else t.match(added, { exit: 1, json: { code: 11, msg: /DEL/ } });
      t.same((await inside(pod)).links, ["lo"]);
    }),
  );

  t.test(`ADD of another VF does not wait for one that waits for IPAM (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const ipam = holdIpam(world);
      const slow = world.attachment(pod);
      const adding = world.call(via, "ADD", slow);
      await ipam.begun();
      const quick = world.attachment(other, { deviceID: world.vfs[1]!.pci, ipam: {} });
      await succeeds(t, via, "ADD", quick);
      await succeeds(t, via, "DEL", quick);
      ipam.release();
      t.equal((await adding).exit, 0);
      await succeeds(t, via, "DEL", slow);
    }),
  );

  t.test(`reconcile leaves an ADD alone that waits for IPAM (${via})`, (t) =>
    unchanged(t, world, via, async () => {
      const ipam = holdIpam(world);
      const a = world.attachment(pod);
      const adding = world.call(via, "ADD", a);
      await ipam.begun();
      t.match(await world.railnet("reconcile"), { exit: 0, stdout: /nothing to do/ });
      ipam.release();
      t.equal((await adding).exit, 0);
      await succeeds(t, via, "DEL", a);
    }),
  );
}

t.test("ADD through the agent and stand-alone at once share journal and locks", (t) =>
  unchanged(t, world, "shim", async () => {
    const rivals = WAYS.map((via, i) => ({ via, a: world.attachment(i ? pod : other) }));
    const replies = await Promise.all(rivals.map(({ via, a }) => world.call(via, "ADD", a)));
    t.same(replies.map(({ exit }) => exit).sort(), [0, 1]);
    const crossed = rivals.map(({ a }, i) => ({ via: WAYS[1 - i]!, a }));
    for (const { via, a } of crossed) await succeeds(t, via, "DEL", a);
  }),
);
