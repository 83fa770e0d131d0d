// Each row of a profile matters: a life of a VF that shows it, and that breaks when the row is turned off.
import { deepEqual, equal, match, ok, rejects } from "node:assert/strict";
import t from "tap";
import { Errno, guidOf } from "./support/nic.ts";
import { DoubleNode } from "./support/node.ts";
import { NO_MAC, PROFILES, type Profile } from "./support/profiles.ts";

const { TRAITS } = await import("../../../cni/attachment/drivers.ts"); // the one that the double's node has

t.setTimeout(600_000); // on a busy machine

const MAC = "02:66:00:00:00:01";
const ADMIN = "02:ad:00:00:00:01";

type Name = keyof typeof PROFILES;
type Life = (node: DoubleNode) => Promise<void>;

/** What a VF was asked, or refused, in a life. */
const seenIn = async (node: DoubleNode, act: () => Promise<unknown>): Promise<string[]> => {
  const from = node.nic.seen.length;
  await act();
  return node.nic.seen.slice(from);
};

async function live(node: DoubleNode, config: object, inPod: () => void = () => {}): Promise<void> {
  const pod = node.pod();
  await node.add(pod, config);
  inPod();
  await node.del(pod, config);
}

/** The VF goes into reset, or the PF is busy, once the ADD has read what there is. */
function once(node: DoubleNode, at: string, act: () => void): void {
  node.onStep = (step) => {
    if (step !== at) return;
    node.onStep = () => {};
    act();
  };
}

const refuses =
  (config: object, errno: string | undefined, prepare: Life = async () => {}): Life =>
  async (node) => {
    await prepare(node);
    if (errno) await rejects(node.add(node.pod(), config), new RegExp(errno));
    else await node.add(node.pod(), config);
  };

const adminWhileInPod: Life = async (node) => {
  const seen = await seenIn(node, () => live(node, {}, () => node.nic.set(0, { mac: ADMIN })));
  ok(seen.includes(`link mac: ${node.expected.pinned}`), `${seen}`);
  equal(node.vf().state.mac, ADMIN, "what the administrator gave meanwhile stays");
  equal(node.vf().pinned, true);
};
const keepsOwnMac: Life = async (node) => {
  const seen = await seenIn(node, () => live(node, {}, () => node.nic.set(0, { mac: ADMIN })));
  ok(!seen.some((what) => what.startsWith("link mac")), `${seen}`);
};
const pinsThePod: Life = async (node) => {
  const pod = node.pod();
  await node.add(pod, { mac: MAC });
  equal(node.vf().pinned, true);
  equal(node.vf().state.mac, MAC);
};
const pinnedBefore: Life = async (node) => {
  node.nic.set(0, { mac: ADMIN });
  node.settle();
  const pod = node.pod();
  const seen = await seenIn(node, () => node.add(pod, { mac: MAC }));
  ok(seen.includes(`link mac: ${node.expected.pinned}`), `${seen}`);
  equal(node.vf().link.mac, MAC);
  await node.del(pod, { mac: MAC });
  equal(node.vf().state.mac, ADMIN, "after DEL as before");
  equal(node.vf().pinned, true);
};
/** The pod asks for the MAC that an administrator gave, and the VF does not have it yet. */
const asGiven =
  (isRefused: boolean): Life =>
  async (node) => {
    node.nic.set(0, { mac: ADMIN });
    const seen = await seenIn(node, () => node.add(node.pod(), { mac: ADMIN }));
    equal(seen.includes(`link mac: ${node.expected.pinned}`), isRefused, `${seen}`);
    equal(node.vf().link.mac, ADMIN);
  };
const ownMacAgain: Life = async (node) => {
  await live(node, { mac: MAC });
  equal(node.vf().state.mac, node.vf().link.permMac);
  equal(node.vf().pinned, false);
};
const waitsForUp: Life = async (node) => {
  const seen = await seenIn(node, () => node.add(node.pod(), { vlan: 100 }));
  ok(seen.includes("up: EBUSY") && seen.at(-1) === "up", `${seen}`);
};
const waitsToShow: Life = async (node) => {
  node.nic.resetFor(node.vf(), 3_000);
  const seen = await seenIn(node, () => node.add(node.pod(), { vlan: 100 }));
  ok(!seen.some((what) => what.startsWith("pf vlan: ")), `${seen}`);
  ok(node.kernel.clock.nowMs() >= 3_000);
};
const waitsToSet: Life = async (node) => {
  once(node, "add-journalled", () => node.nic.resetFor(node.vf(), 3_000));
  const seen = await seenIn(node, () => node.add(node.pod(), { vlan: 100 }));
  ok(seen.includes(`pf vlan: ${node.expected.inReset.set?.errno}`), `${seen}`);
  equal(node.vf().state.vlan, 100);
};
const waitsForMac: Life = async (node) => {
  const seen = await seenIn(node, () => live(node, { mac: MAC }));
  ok(seen.includes(`link mac: ${node.expected.inReset.linkMac?.errno}`), `${seen}`);
  equal(node.vf().link.mac, node.vf().link.permMac);
};
const deaf: Life = async (node) => {
  for (const trust of [true, false]) node.nic.set(0, { trust });
  const seen = await seenIn(node, () => node.add(node.pod(), { mac: MAC }));
  ok(seen.includes("link mac: EPERM"), `${seen}`);
  equal(node.vf().link.mac, MAC);
};
const madeMeanwhile: Life = async (node) => {
  once(node, "add-journalled", () => {
    node.nic.makingUntilMs = node.kernel.clock.nowMs() + 2_000;
  });
  const seen = await seenIn(node, () => node.add(node.pod(), { vlan: 100 }));
  ok(seen.includes("pf vlan: EAGAIN"), `${seen}`);
};
const noCable: Life = async ({ nic }) => {
  nic.carrier = false;
};
const ignoresEnable: Life = async (node) => {
  const pod = node.pod();
  const result = await node.add(pod, { link_state: "enable" });
  equal(node.vf().state.linkState, "auto");
  await node.check(pod, { link_state: "enable" }, result);
};
/** Beyond what the kernel lists, DEL restores what the driver gives a new VF. */
const unlisted: Life = async (node) => {
  const before = node.vf(299).state;
  const config = { spoofchk: before.spoofchk ? "off" : "on" };
  const pod = node.pod();
  await node.add(pod, config, 299);
  await node.del(pod, config, 299);
  deepEqual(node.vf(299).state, { ...before, mac: node.vf(299).state.mac });
  match(node.warnings.join(), /does not list the VF/);
};
const freshSpoofCheck: Life = async (node) => {
  await unlisted(node);
  equal(node.vf(299).state.spoofchk, node.expected.spoofchk);
};
const mute: Life = async (node) => {
  const seen = await seenIn(node, () => node.add(node.pod(), { spoofchk: "on" }));
  ok(seen.includes("pf mac"), `${seen}`);
  equal(node.nic.passes(node.vf()), true);
  node.nic.set(0, { mac: NO_MAC });
  equal(node.nic.passes(node.vf()), false, "without it nothing gets out");
};
const guid: Life = async (node) => {
  await live(node, { mac: MAC });
  node.nic.rebind(node.vf());
  equal(node.vf().guid, guidOf(node.vf().link.permMac));
};

interface Row {
  readonly profile: Name;
  readonly row: string;
  readonly life: Life;
  /** The row turned off. */
  readonly off: Partial<Profile>;
}

const each = (names: readonly Name[], row: string, life: Life, off: (p: Profile) => Partial<Profile>): Row[] =>
  names.map((profile) => ({ profile, row, life, off: off(PROFILES[profile]) }));
const resets = (off: Partial<Profile["inReset"]>) => (p: Profile) => {
  const left: Record<string, unknown> = { ...p.inReset, ...off };
  for (const key of Object.keys(off)) delete left[key];
  return { inReset: left as Profile["inReset"] };
};
const rates = (change: Partial<Profile["rate"]>) => (p: Profile) => ({ rate: { ...p.rate, ...change } });

const ALL = Object.keys(PROFILES) as Name[];
const IAVF: Name[] = ["ice", "i40e"];
const EACH_PINS: Name[] = ["i40e", "ixgbe", "bnxt", "igb"];

const ROWS: readonly Row[] = [
  ...each(EACH_PINS, "pinned: a MAC of its own is refused, and the VF given free", pinnedBefore, () => ({ pinned: undefined as never })),
  ...each(["ice"], "pinned: likewise at DEL", adminWhileInPod, () => ({ pinned: undefined as never })),
  ...each(["ixgbe", "bnxt"], "pinnedTakesEqual: the administrator's MAC itself is taken", asGiven(false), () => ({ pinnedTakesEqual: false })),
  ...each(["igb"], "pinnedTakesEqual: not even that", asGiven(true), () => ({ pinnedTakesEqual: true })),
  ...each(EACH_PINS, "pinsOnEqualMac: the pod's MAC pins the VF", pinsThePod, () => ({ pinsOnEqualMac: false })),
  ...each(["ice", ...EACH_PINS], "showsOwnMac: the VF shows its own MAC again, and is free", ownMacAgain, () => ({ showsOwnMac: false })),
  ...each(["mlx5"], "showsOwnMac: no MAC is shown, so spoof check needs one", mute, () => ({ showsOwnMac: true })),
  ...each([...IAVF, "ixgbe"], "macReachesVf: the VF takes an administrator's MAC over", adminWhileInPod, () => ({ macReachesVf: "rebind" })),
  ...each(["mlx5", "bnxt", "igb"], "macReachesVf: the VF keeps its MAC until it is bound anew", keepsOwnMac, () => ({ macReachesVf: "next reset" })),
  ...each(IAVF, "resetsVf: a VLAN resets the VF", waitsForUp, () => ({ resetsVf: [] })),
  ...each(IAVF, "resetMs: that takes a while", waitsForUp, () => ({ resetMs: 0 })),
  ...each(IAVF, "inReset.up: it does not come up", waitsForUp, resets({ up: { errno: "" } })),
  ...each(IAVF, "inReset.list: the PF hides it", waitsToShow, resets({ list: { blockMs: 0 } })),
  ...each(IAVF, "inReset.set: the PF refuses settings", waitsToSet, resets({ set: { errno: "" } })),
  ...each(IAVF, "inReset.linkMac: it takes no MAC", waitsForMac, resets({ linkMac: { errno: "" } })),
  ...each(["ixgbe"], "closesMailbox: the PF does not listen", deaf, () => ({ closesMailbox: [] })),
  ...each(["i40e"], "busyWhileMaking: the PF refuses all", madeMeanwhile, () => ({ busyWhileMaking: undefined as never })),
  ...each(["i40e", "ixgbe", "igb"], "rate.min: no minimum", refuses({ min_tx_rate: 100 }, "EINVAL"), rates({ min: true })),
  ...each(["mlx5", "ice", "bnxt"], "rate.min: a minimum", refuses({ min_tx_rate: 100 }, undefined), rates({ min: false })),
  ...each(["i40e", "ixgbe", "igb"], "rate.needsCarrier: none without carrier", refuses({ max_tx_rate: 500 }, "EINVAL", noCable), rates({ needsCarrier: false })),
  ...each(["mlx5", "ice", "bnxt"], "rate.needsCarrier: also without", refuses({ max_tx_rate: 500 }, undefined, noCable), rates({ needsCarrier: true })),
  ...each(["ice", "i40e", "ixgbe", "bnxt", "igb"], "rate.maxMbps: not above the link's speed", refuses({ max_tx_rate: 200_000 }, "EINVAL"), rates({ maxMbps: Number.POSITIVE_INFINITY })),
  ...each(["mlx5"], "rate.maxMbps: any", refuses({ max_tx_rate: 2_000_000 }, undefined), rates({ maxMbps: 1000 })),
  ...each(["igb"], "linkState: none", refuses({ link_state: "enable" }, "EOPNOTSUPP"), () => ({ linkState: "works" })),
  ...each(["ixgbe"], "linkState: enable is ignored", ignoresEnable, () => ({ linkState: "works" })),
  ...each(["mlx5", ...IAVF, "bnxt"], "linkState: works", refuses({ link_state: "disable" }, undefined), () => ({ linkState: "no op" })),
  ...each(["mlx5", ...IAVF, "ixgbe", "igb"], "proto8021ad: refused", refuses({ vlan: 5, vlanProto: "802.1ad" }, "EPROTONOSUPPORT"), () => ({ proto8021ad: "works" })),
  ...each(["bnxt"], "proto8021ad: works", refuses({ vlan: 5, vlanProto: "802.1ad" }, undefined), () => ({ proto8021ad: "refused" })),
  ...each(ALL, "spoofchk: what a new VF has is restored where it cannot be read", freshSpoofCheck, (p) => ({ spoofchk: !p.spoofchk })),
  ...each(ALL, "listEnds: settings of VFs beyond are set all the same", unlisted, () => ({ listEnds: 1000 })),
  ...each(["mlx5"], "spoofNeedsAdminMac: without one nothing gets out", mute, () => ({ spoofNeedsAdminMac: false })),
  ...each(["mlx5"], "guidFromAdminMac: the node GUID stays one", guid, () => ({ guidFromAdminMac: false })),
]; // biome-ignore format: rows

async function run({ profile, life }: Row, change: Partial<Profile>): Promise<void> {
  const expected: Profile = PROFILES[profile];
  using node = new DoubleNode(
    { ...expected, ...change },
    { vfs: life === unlisted || life === freshSpoofCheck ? 300 : 2, expected },
  );
  await life(node);
}

for (const row of ROWS)
  t.test(`${row.profile}: ${row.row}`, async (t) => {
    await run(row, {});
    await t.rejects(run(row, row.off), "and without the row this breaks");
  });

t.test("every row of a profile is there", async (t) => {
  const named = new Set(ROWS.map(({ row }) => row.split(/[.:]/)[0]));
  const rows = Object.keys(PROFILES.i40e).filter((key) => !["driver", "vfDriver"].includes(key));
  t.same(
    [...rows].filter((key) => !named.has(key)),
    [],
  );
});

/** The PF listens to the VF again whenever somebody could want to use it. */
const listens =
  (config: object): Life =>
  async (node) => {
    const pod = node.pod();
    await node.add(pod, config);
    equal(node.vf().mailboxOpen, true, "in the pod");
    await node.del(pod, config);
    equal(node.vf().mailboxOpen, true, "after DEL");
  };

/** Lives that show what the product knows of a driver. */
const TRAIT_LIVES: Readonly<Record<keyof (typeof TRAITS)[string], readonly Life[]>> = {
  spoofchk: [freshSpoofCheck],
  needsAdminMac: [mute, guid],
  closesMailbox: [listens({ trust: "on" }), listens({ link_state: "disable" })],
  pinsOnlyAnother: [pinsThePod],
  ignoresEnable: [ignoresEnable],
};

for (const profile of ALL)
  for (const [trait, value] of Object.entries(TRAITS[PROFILES[profile].driver] ?? { spoofchk: true }))
    t.test(`${profile}: the product's trait ${trait} is ${value}, and matters`, async (t) => {
      const { driver } = PROFILES[profile];
      const known = TRAITS as Record<string, object>;
      for (const life of TRAIT_LIVES[trait as keyof typeof TRAIT_LIVES]) {
        const row: Row = { profile, row: trait, life, off: {} };
        await run(row, {});
        const before = known[driver];
        known[driver] = { ...before, [trait]: !value };
        try {
          await t.rejects(run(row, {}), "and without the trait this breaks");
        } finally {
          if (before) known[driver] = before;
          else delete known[driver];
        }
      }
    });

t.test("every driver of which the product knows something has a profile", async (t) => {
  const played = ALL.map((name) => PROFILES[name].driver as string);
  t.same(
    Object.keys(TRAITS).filter((driver) => !played.includes(driver)),
    [],
  );
});

for (const profile of IAVF)
  t.test(
    `${profile}: a VF that never leaves its reset fails in bounded time, and holds rtnl only for a part of it`,
    async (t) => {
      using node = new DoubleNode(PROFILES[profile]);
      const before = node.picture();
      const { clock } = node.kernel;
      for (const config of [{ mac: MAC }, { vlan: 100 }, {}]) {
        const pod = node.pod();
        const [fromMs, rtnlMs] = [clock.nowMs(), clock.rtnlMs];
        node.nic.resetFor(node.vf(), 60_000);
        await t.rejects(node.add(pod, config), { message: /in reset|EBUSY|EAGAIN/ });
        t.ok(clock.nowMs() - fromMs <= 30_000, `${clock.nowMs() - fromMs} ms`);
        t.ok(clock.rtnlMs - rtnlMs <= 16_000, `rtnl for ${clock.rtnlMs - rtnlMs} ms`);
        const most = (clock.nowMs() - fromMs) / 2 + 2_500; // as long a rest after each, but for the last
        t.ok(
          clock.rtnlMs - rtnlMs <= most,
          `and others have it half of the time: ${clock.rtnlMs - rtnlMs} of ${most} ms`,
        );
        node.settle();
        node.settle();
        clock.pass(60_000);
        await node.del(pod, config);
        t.same(node.picture(), before);
      }
    },
  );

for (const profile of ALL)
  t.test(`${profile}: a MAC of a VF beyond the PF's list is set and taken back without a wait`, async (t) => {
    using node = new DoubleNode(PROFILES[profile], { vfs: 300 });
    const own = node.vf(299).link.mac;
    const pod = node.pod();
    await node.add(pod, { mac: MAC }, 299);
    t.equal(node.vf(299).link.mac, MAC);
    node.settle();
    const fromMs = node.kernel.clock.nowMs();
    await node.del(pod, {}, 299);
    t.ok(node.kernel.clock.nowMs() - fromMs < 8_000, `${node.kernel.clock.nowMs() - fromMs} ms`);
    t.equal(node.vf(299).link.mac, own);
    t.same(await node.reconcile(), [], "and nothing is owed");
    t.same(
      node.warnings.filter((one) => /owed/.test(one)),
      [],
    );
  });

t.test("i40e: DEL waits for a PF that makes VFs, and owes nothing", async (t) => {
  using node = new DoubleNode(PROFILES.i40e);
  const before = node.picture();
  const pod = node.pod();
  await node.add(pod, { vlan: 100 });
  node.settle();
  const { nic } = node;
  const set = nic.set.bind(nic);
  let refusals = 2;
  nic.set = (index, wanted) => {
    if (refusals-- > 0) throw new Errno("EAGAIN"); // it began after the PF was asked what there is
    set(index, wanted);
  };
  await node.del(pod, {});
  t.ok(refusals < 0);
  t.same(
    node.warnings.filter((one) => /owed/.test(one)),
    [],
  );
  node.settle();
  t.same(node.picture(), before);
});

t.test("i40e: an administrator's MAC is set once, and its reset waited for", async (t) => {
  using node = new DoubleNode(PROFILES.i40e);
  t.same(await seenIn(node, () => node.add(node.pod(), { mac: MAC })), ["link mac", "pf mac", "up"]);
});

for (const profile of IAVF)
  t.test(`${profile}: DEL of a VF that is in reset forgets none of its settings`, async (t) => {
    using node = new DoubleNode(PROFILES[profile]);
    const before = node.picture();
    const config = { mac: MAC, vlan: 100, trust: "on", max_tx_rate: 500 };
    const pod = node.pod();
    await node.add(pod, config);
    node.settle();
    node.nic.resetFor(node.vf(), 120_000);
    await node.del(pod, config).catch(() => {});
    t.equal(node.vf().state.vlan, 100, "not yet");
    node.kernel.clock.pass(120_000);
    await node.reconcile();
    await node.del(pod, config);
    t.same(node.picture(), before);
  });
