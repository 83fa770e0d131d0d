import t, { type Test } from "tap";
import { DoubleNode } from "./support/node.ts";
import { NO_MAC, PROFILES, type Profile } from "./support/profiles.ts";

const MAC = "02:66:00:00:00:01";
const OTHER = "02:66:00:00:00:02";

t.setTimeout(600_000); // on a busy machine

/** Every setting, alone and together, and why a driver may refuse it. */
const SETTINGS: readonly { readonly config: object; readonly refusedBy?: (profile: Profile) => string | undefined }[] =
  [
    { config: {} },
    { config: { mac: MAC } },
    { config: { vlan: 100, vlanQoS: 3 } },
    { config: { vlan: 0 } },
    {
      config: { vlan: 100, vlanProto: "802.1ad" },
      refusedBy: (p) => (p.proto8021ad === "refused" ? "EPROTONOSUPPORT" : undefined),
    },
    { config: { trust: "on" } },
    { config: { spoofchk: "on" } },
    { config: { spoofchk: "off" } },
    { config: { link_state: "enable" }, refusedBy: (p) => (p.linkState === "no op" ? "EOPNOTSUPP" : undefined) },
    { config: { max_tx_rate: 500 } },
    { config: { min_tx_rate: 100 }, refusedBy: (p) => (p.rate.min ? undefined : "EINVAL") },
    { config: { max_tx_rate: 50_000 }, refusedBy: (p) => (p.rate.maxMbps < 50_000 ? "EINVAL" : undefined) },
    { config: { mtu: 9000 } },
    { config: { mac: MAC, trust: "on", mtu: 9000 } },
    { config: { mac: MAC, vlan: 100, spoofchk: "on", trust: "on", max_tx_rate: 1000, mtu: 9000 } },
  ];

/**
 * What a VF is after DEL: as before. Two things cannot be: where a node GUID hangs on the administrator's MAC, none becomes
 * the VF's own; and ice does not tell that an administrator gave a VF the MAC that it has.
 */
function asBefore({ nic }: DoubleNode, before: ReturnType<DoubleNode["picture"]>, config: object) {
  const setsMac = "mac" in config || /"spoofchk":"on"/.test(JSON.stringify(config));
  if (nic.profile.guidFromAdminMac && before.state.mac === NO_MAC && setsMac)
    return { ...before, pinned: true, state: { ...before.state, mac: before.mac } };
  return nic.profile.driver === "ice" && setsMac ? { ...before, pinned: false } : before;
}

/** One pod: ADD, CHECK, DEL. */
async function oneLife(t: Test, node: DoubleNode, config: object, what: string): Promise<void> {
  const before = node.picture();
  const pod = node.pod();
  const result = await node.add(pod, config);
  t.equal(node.nic.passes(node.vf()), true, `${what}: what the pod sends gets out`);
  await node.check(pod, config, result);
  await node.del(pod, config);
  t.same(node.picture(), asBefore(node, before, config), `${what}: the VF is as it was`);
}

for (const [name, profile] of Object.entries(PROFILES) as [string, Profile][]) {
  for (const { config, refusedBy } of SETTINGS) {
    const errno = refusedBy?.(profile);
    t.test(`${name}: ADD with ${JSON.stringify(config)} ${errno ? `says ${errno}` : "and DEL"}`, async (t) => {
      using node = new DoubleNode(profile);
      const before = node.picture();
      const pod = node.pod();
      if (errno) {
        await t.rejects(node.add(pod, config), { message: new RegExp(errno) });
        t.same(node.picture(), before, "nothing is changed");
        await node.del(pod, config);
        await oneLife(t, node, { mac: MAC }, "a pod after it");
        return;
      }
      await oneLife(t, node, config, "a pod");
      await oneLife(t, node, { mac: OTHER }, "the next one, with a MAC");
      await oneLife(t, node, config, "one more");
    });
  }

  t.test(`${name}: an ADD that fails at any step is undone`, async (t) => {
    const config = { mac: MAC, vlan: 100, trust: "on", spoofchk: "on", mtu: 9000 };
    for (const at of ["add-journalled", "add-pf-configured", "add-moved", "add-configured", "ipam"]) {
      using node = new DoubleNode(profile);
      const before = node.picture();
      node.failIpam = at === "ipam";
      node.onStep = (step) => {
        if (step === at) throw new Error("injected");
      };
      await t.rejects(node.add(node.pod(), config), { message: /injected|no addresses left/ });
      const expected = at === "add-journalled" ? before : asBefore(node, before, config);
      t.same(node.picture(), expected, at);
      node.onStep = () => {};
      node.failIpam = false;
      await oneLife(t, node, config, `a pod after ${at}`);
    }
  });

  t.test(`${name}: a VF that falls back is put right by the reconciler`, async (t) => {
    using node = new DoubleNode(profile);
    const config = { mac: MAC, vlan: 100, trust: "on", mtu: 9000 };
    const before = node.picture();
    const pod = node.pod();
    await node.add(pod, config);
    node.removePod(pod);
    const [repair] = await node.reconcile();
    t.match(repair, { kind: "detach", reason: "orphaned" });
    t.notOk(repair!.error);
    t.same(node.picture(), asBefore(node, before, config));
    t.same(await node.reconcile(), []);
    await oneLife(t, node, config, "the next pod");
  });

  t.test(`${name}: a pod gets its VF again when the driver made it anew`, async (t) => {
    for (const config of [{}, { mac: MAC, vlan: 100, mtu: 9000 }]) {
      using node = new DoubleNode(profile);
      const before = node.picture();
      const pod = node.pod();
      const result = await node.add(pod, config);
      const { mac } = node.vf().link;
      node.kernel.remake(node.vf(), "eth7", "02:77:00:00:00:07");
      const [repair] = await node.reconcile();
      t.match(repair, { kind: "reattach", reason: "remade", error: undefined });
      t.equal(node.vf().link.mac, mac, "with the MAC that it had");
      t.equal(node.nic.passes(node.vf()), true);
      await node.check(pod, config, result);
      t.same(await node.reconcile(), []);
      await node.del(pod, config);
      t.same(node.picture(), asBefore(node, before, config));
    }
  });

  t.test(`${name}: CHECK and DEL find the PF under a name that it got meanwhile`, async (t) => {
    using node = new DoubleNode(profile);
    const before = node.picture();
    const config = { mac: MAC, vlan: 100 };
    const pod = node.pod();
    const result = await node.add(pod, config);
    node.renamePf("ens9f0np0");
    await node.check(pod, config, result);
    node.vf().state = { ...node.vf().state, vlan: 7 };
    await t.rejects(node.check(pod, config, result), { code: 106, message: /vlan of VF \d+ at ens9f0np0 is 7/ });
    await node.del(pod, config);
    t.same(node.picture(), asBefore(node, before, config));
  });

  t.test(`${name}: an administrator's MAC is taken away that sriov-cni's record says was none`, async (t) => {
    using node = new DoubleNode(profile);
    const pod = node.pod();
    await node.add(pod, { mac: MAC });
    // As findForeign() makes it of sriov-cni's files: what was applied is what was there.
    node.editRecord((a) => ({
      ...a,
      applied: { mac: NO_MAC },
      original: { ...a.original, vf: { ...a.original.vf, mac: NO_MAC } },
    }));
    await node.del(pod, { mac: MAC });
    t.equal(node.vf().link.mac, node.vf().link.permMac);
    t.equal(node.vf().pinned, profile.guidFromAdminMac, "only where a node GUID hangs on it there is one");
  });

  t.test(`${name}: what a pod did to its MAC is undone`, async (t) => {
    for (const config of [{}, { trust: "on" }, { mac: MAC, trust: "on" }]) {
      using node = new DoubleNode(profile);
      const before = node.picture();
      const pod = node.pod();
      await node.add(pod, config);
      node.nic.setLinkMac(node.vf(), "02:bb:00:00:00:01");
      await node.del(pod, config);
      t.same(node.picture(), asBefore(node, before, config), JSON.stringify(config));
    }
  });

  t.test(`${name}: the MAC that an administrator gave a VF is there again after DEL`, async (t) => {
    for (const admin of ["02:ad:00:00:00:01", "02:00:00:00:00:00"]) {
      using node = new DoubleNode(profile);
      node.nic.set(0, { mac: admin });
      node.settle();
      node.nic.setUp(node.vf(), true); // some take it over only then
      node.nic.setUp(node.vf(), false);
      const before = node.picture();
      await oneLife(t, node, { mac: MAC }, `${admin}: a pod with a MAC`);
      await oneLife(t, node, {}, "one without");
      await oneLife(t, node, { mac: OTHER, trust: "on" }, "one with another MAC");
      t.same(node.picture(), asBefore(node, before, { mac: MAC }));
    }
  });

  t.test(`${name}: DEL is done again without harm, and after a crash goes on where it was`, async (t) => {
    const config = { mac: MAC, vlan: 100, trust: "on", mtu: 9000 };
    for (const at of ["del-locked", "del-link-returned", "del-pf-restored"]) {
      using node = new DoubleNode(profile);
      const before = node.picture();
      const pod = node.pod();
      await node.add(pod, config);
      node.onStep = (step) => {
        if (step === at) throw new Error("injected");
      };
      await t.rejects(node.del(pod, config), { message: /injected/ });
      node.onStep = () => {};
      await node.del(pod, config);
      await node.del(pod, config);
      t.same(node.picture(), asBefore(node, before, config), at);
    }
  });

  t.test(`${name}: settings of a VF that the kernel does not list are set, and a new VF's restored`, async (t) => {
    using node = new DoubleNode({ ...profile, listEnds: 256 }, { vfs: 300 });
    node.nic.set(299, { vlan: 0 });
    const before = node.picture(299);
    const pod = node.pod();
    const result = await node.add(pod, { vlan: 100, max_tx_rate: 500 }, 299);
    t.match(node.vf(299).state, { vlan: 100, maxTxRate: 500 });
    await node.check(pod, { vlan: 100, max_tx_rate: 500 }, result, 299);
    await node.del(pod, { vlan: 100, max_tx_rate: 500 }, 299);
    t.same(node.picture(299), before);
    t.match(node.warnings, [/does not list the VF/]);
  });
}

const { igb } = PROFILES;

t.test("ADD takes a VF from an owner that is gone, however it went, and from no other", async (t) => {
  const config = { mac: MAC, vlan: 100 };
  for (const { how, leave } of [
    {
      how: "its namespace is gone",
      leave: (node: DoubleNode, pod: ReturnType<DoubleNode["pod"]>) => node.removePod(pod),
    },
    {
      how: "the VF fell back out of it",
      leave: (node: DoubleNode) => node.kernel.remake(node.vf(), "eth7", "02:77:00:00:00:07"),
    },
    {
      how: "the node was started anew since",
      leave: (node: DoubleNode) => node.editRecord((a) => ({ ...a, bootId: "before" })),
    },
  ]) {
    using node = new DoubleNode(igb);
    const pod = node.pod();
    await node.add(pod, config);
    await t.rejects(node.add(node.pod(), config), { code: 102 }, "it is in use");
    leave(node, pod);
    if (how.startsWith("the node")) node.kernel.remake(node.vf(), "ens1v0", "02:77:00:00:00:07"); // as a new boot has it
    await t.resolves(node.add(node.pod(), config), how);
  }
});

t.test("DEL says nothing that runtimes and Multus take for 'is gone'", async (t) => {
  using node = new DoubleNode(igb);
  const pod = node.pod();
  await node.add(pod, {});
  node.failRelease = "pool not found: no such file or directory";
  const said = await node.del(pod, {}).then(
    () => "nothing",
    (error: Error) => error.message,
  );
  t.equal(said, "pool missing: missing");
  node.failRelease = "";
  await node.del(pod, {});
});
