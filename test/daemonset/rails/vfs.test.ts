import t, { type Test } from "tap";
import { parseRails } from "../../../daemonset/rails/config.ts";
import { userOf } from "../../../daemonset/rails/in-use.ts";
import type { CarryOut, RailOrder } from "../../../daemonset/rails/orders.ts";
import { listPfFacts, type PfFacts, selectPfs } from "../../../daemonset/rails/select.ts";
import { awaitLinks, ensureVfs, planVfs, type VfHost } from "../../../daemonset/rails/vfs.ts";
import { KeptLog } from "../support/log.ts";
import { PfTree } from "../support/pf-tree.ts";

const PF = "0000:a0:00.0";

for (const { when, wanted, numVfs, inUse = [], want } of [
  { when: "leaves a PF alone for 0", wanted: 0, numVfs: 3, want: { kind: "keep" } },
  { when: "is content with what there is", wanted: 4, numVfs: 4, inUse: ["VF a is in use"], want: { kind: "keep" } },
  { when: "makes VFs where there are none", wanted: 4, numVfs: 0, want: { kind: "write", values: [4] } },
  { when: "goes by way of 0 to more", wanted: 8, numVfs: 4, want: { kind: "write", values: [0, 8] } },
  { when: "goes by way of 0 to fewer", wanted: 2, numVfs: 4, want: { kind: "write", values: [0, 2] } },
  { when: "waits for users before fewer", wanted: 2, numVfs: 4, inUse: ["A has a", "B has b"], want: { kind: "wait", why: "it has 4, and the kernel would have to remove all of them: A has a; B has b" } },
  { when: "waits for users before more", wanted: 8, numVfs: 4, inUse: ["A has a"], want: { kind: "wait", why: "it has 4, and the kernel would have to remove all of them: A has a" } },
  { when: "refuses more than the firmware allows", wanted: 9, numVfs: 0, want: { kind: "refuse", why: "its firmware allows 8 (sriov_totalvfs): ask for less or raise it there" } },
]) // biome-ignore format: rows
  t.test(`planVfs() ${when}`, async (t) => {
    t.same(planVfs(wanted, { numVfs, totalVfs: 8, inUse }), want);
  });

/** A PF of 8 VFs, and what was done to it. */
function node(t: Test, vfs: number) {
  const tree = new PfTree(t.testdir());
  tree.addPf({ pci: PF, netdev: "ens1" });
  const log = new KeptLog();
  const done: string[] = [];
  const users = new Map<string, string>();
  const host: VfHost = {
    sysfs: tree.root,
    log,
    carryOut: (async (order: RailOrder) =>
      void done.push(`${order.do} ${"netdev" in order && order.netdev}`)) as CarryOut,
    setNumVfs: async ({ pci }: PfFacts, count: number) => {
      tree.writeNumVfs(pci, count);
      done.push(`${count}`);
    },
    userOf: async (vf) => users.get(vf),
    step: () => {},
    lock: (vf) => {
      done.push(`lock ${vf}`);
      return { [Symbol.dispose]: () => void done.push(`unlock ${vf}`) };
    },
  };
  const rails = parseRails(`[{name: rail0, vfs: ${vfs}, pf: {names: [ens1]}}]`);
  const one = selectPfs(rails, listPfFacts(tree.root)).here[0]!;
  return { tree, log, done, users, host, one };
}

t.test("ensureVfs() sets the PF up, makes its VFs, and then finds nothing to do", async (t) => {
  const { tree, done, host, one, log } = node(t, 4);
  t.same(await ensureVfs(one, host), { kind: "write", values: [4] });
  t.same(done, ["set-up ens1", "4"]);
  t.same(log.take(), ["info VFs made"]);
  t.equal(tree.numVfs(PF), "4");
  t.same(await ensureVfs(one, host), { kind: "keep" });
  t.equal(done.length, 2);
});

t.test("ensureVfs() holds every VF while it makes others in their place", async (t) => {
  const { tree, done, host, one, log } = node(t, 4);
  tree.writeNumVfs(PF, 2);
  t.same(await ensureVfs(one, host), { kind: "write", values: [0, 4] });
  t.same(done.slice(0, 5), ["lock 0000:a0:02.0", "lock 0000:a0:02.1", "set-up ens1", "0", "4"]);
  t.same(done.slice(5).sort(), ["unlock 0000:a0:02.0", "unlock 0000:a0:02.1"]);
  t.same(log.take(), ["info VFs removed, to create others", "info VFs made"]);
});

t.test("ensureVfs() touches no PF one of whose VFs is in use or being attached", async (t) => {
  const { tree, done, host, one, users } = node(t, 4);
  tree.writeNumVfs(PF, 2);
  users.set("0000:a0:02.1", "VF 0000:a0:02.1 is in use by pod default/a");
  const busy = { ...host, lock: (vf: string) => (vf.endsWith("0") ? undefined : host.lock(vf)) };
  t.same(await ensureVfs(one, busy), {
    kind: "wait",
    why: "it has 2, and the kernel would have to remove all of them: VF 0000:a0:02.0 is being attached or detached; VF 0000:a0:02.1 is in use by pod default/a",
  });
  t.same(done, ["lock 0000:a0:02.1", "unlock 0000:a0:02.1"]);
  t.equal(tree.numVfs(PF), "2");
});

t.test("ensureVfs() finishes what a killed process left half done", async (t) => {
  const { tree, done, host, one } = node(t, 4);
  tree.writeNumVfs(PF, 2);
  tree.writeNumVfs(PF, 0);
  t.same(await ensureVfs(one, host), { kind: "write", values: [4] });
  t.same(done, ["set-up ens1", "4"]);
});

for (const { code, fix } of [
  { code: "EBUSY", fix: "something else sets it too, or the driver uses it (devlink dev eswitch show)" },
  { code: "ENOMEM", fix: "no room for their memory or bus numbers: enable SR-IOV in the firmware's setup, or boot with pci=realloc" },
  { code: "EROFS", fix: "sysfs is read-only here: the agent's container must be privileged, with the host's /sys" },
  { code: "EIO", fix: "the kernel's log (dmesg) says why" },
]) // biome-ignore format: rows
  t.test(`ensureVfs() names PF, ${code} and what to do`, async (t) => {
    const { host, one } = node(t, 4);
    const setNumVfs = () => Promise.reject(Object.assign(new Error("no"), { code }));
    await t.rejects(ensureVfs(one, { ...host, setNumVfs }), {
      message: `cannot set sriov_numvfs of ens1 (0000:a0:00.0) to 4: ${code}: ${fix}`,
    });
  });

t.test("awaitLinks() waits for drivers, not for those of userspace, nor where the kernel looks for none", async (t) => {
  const { tree, one } = node(t, 4);
  tree.writeNumVfs(PF, 2, { links: false });
  t.same(await awaitLinks(one.pf, tree.root, 0), ["0000:a0:02.0", "0000:a0:02.1"]);
  const waiting = awaitLinks(one.pf, tree.root);
  tree.addNetdev("0000:a0:02.0", "v0");
  tree.bind("0000:a0:02.1", "vfio-pci");
  t.same(await waiting, []);
  tree.removeNetdev("0000:a0:02.0", "v0");
  t.same(await awaitLinks(one.pf, tree.root, 0), ["0000:a0:02.0"]);
  tree.file(PF, "sriov_drivers_autoprobe", "0\n");
  t.same(await awaitLinks(one.pf, tree.root, 0), []);
});

t.test("userOf() says who has a VF", async (t) => {
  const { tree } = node(t, 4);
  tree.writeNumVfs(PF, 8);
  const [free, promised, userspace, away, used, bare] = tree.vfs(PF) as string[];
  tree.bind(userspace!, "vfio-pci");
  tree.removeNetdev(away!, tree.linkOf(away!));
  tree.removeNetdev(bare!, tree.linkOf(bare!));
  tree.unbind(bare!);
  const signs = {
    sysfs: tree.root,
    stateDir: t.testdirName,
    bootId: "b",
    isPromised: (vf: string) => vf === promised,
    hostUse: async (vf: string) => (vf === used ? "the host uses its link ens1v4: it belongs to br0" : undefined),
  };
  for (const [vf, want] of [
    [free, undefined],
    [promised, `VF ${promised} was given to a pod that is just being made`],
    [userspace, `VF ${userspace} has driver vfio-pci, for userspace`],
    [away, `the link of VF ${away} is in another network namespace`],
    [used, `VF ${used}: the host uses its link ens1v4: it belongs to br0`],
    [bare, undefined],
  ] as const)
    t.equal(await userOf(vf!, signs), want);
});
