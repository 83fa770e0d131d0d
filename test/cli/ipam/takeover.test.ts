import t from "tap";
import { next, obstaclesToBack, obstaclesToFinish } from "../../../cli/ipam/takeover/obstacles.ts";
import { readinessOf, type TakeoverState } from "../../../cli/ipam/takeover/state.ts";
import { NOW_MS, stateOf } from "./support/cluster-state.ts";

const POOL = {
  pool: "p",
  isAdopted: false,
  isNamed: true,
  records: 2,
  reservations: 2,
  unreserved: 0,
  unrecorded: 0,
  stuck: 0,
  disputed: 0,
};
const AGENT = {
  node: "node-a",
  mode: "coexist",
  renewed: "2026-01-10T11:59:00Z",
  isHeard: true,
  hasNode: true,
} as const;
const READY: TakeoverState = {
  mode: "coexist",
  pools: [POOL],
  whereabouts: { leaseRenewed: "2026-01-10T09:00:00Z", isLive: false, workloads: [] },
  agents: [AGENT],
  nodesWithoutAgent: [],
};

const ROWS: readonly { when: string; change: Partial<TakeoverState>; want: RegExp | undefined }[] = [
  { when: "everything is ready", change: {}, want: undefined },
  { when: "cannot tell whether it is installed", change: { whereabouts: { ...READY.whereabouts, workloads: null } }, want: undefined },
  { when: "a node has no agent", change: { nodesWithoutAgent: ["control-plane"] }, want: undefined },
  { when: "a silent agent's node is gone", change: { agents: [AGENT, { ...AGENT, node: "old", isHeard: false, hasNode: false }] }, want: undefined },
  { when: "records have no reservation", change: { pools: [{ ...POOL, unreserved: 1 }] }, want: /^pool p: 1 record has no reservation; railnet ipam takeover adopt$/ },
  { when: "a pool's name tells no network", change: { pools: [{ ...POOL, isNamed: false, unreserved: 2 }] }, want: /^pool p: 2 records have no reservation, and the pool's name does not tell its network; recreate the pods/ },
  { when: "an address has two owners", change: { pools: [{ ...POOL, disputed: 2 }] }, want: /^pool p: 2 addresses have two owners; railnet ipam audit$/ },
  { when: "there is no agent", change: { agents: [] }, want: /^no agent has reported/ },
  { when: "an agent is silent", change: { agents: [{ ...AGENT, isHeard: false }] }, want: /^the agent of node-a last reported at 2026-01-10T11:59:00Z/ },
  { when: "an agent says no mode", change: { agents: [{ ...AGENT, mode: undefined }] }, want: /^the agent of node-a does not report its mode/ },
  { when: "Whereabouts renewed its lease", change: { whereabouts: { ...READY.whereabouts, isLive: true } }, want: /^Whereabouts is running: it renewed its lease at 2026-01-10T09/ },
  { when: "Whereabouts is installed", change: { whereabouts: { ...READY.whereabouts, workloads: ["DaemonSet/whereabouts"] } }, want: /^Whereabouts is installed: DaemonSet\/whereabouts; delete it$/ },
]; // biome-ignore format: rows

for (const { when, change, want } of ROWS)
  t.test(`obstaclesToFinish() when ${when}: ${want ?? "none"}`, async (t) => {
    const obstacles = obstaclesToFinish({ ...READY, ...change });
    t.equal(obstacles.length, want ? 1 : 0);
    if (want) t.match(obstacles[0], want);
  });

t.test(
  "obstaclesToBack() are pools of more addresses than an IPPool holds, and next() says so before anybody starts",
  async (t) => {
    const agents = [{ ...AGENT, mode: "absent" as const }];
    const state = {
      ...READY,
      agents,
      mode: "absent" as const,
      pools: [{ ...POOL, reservations: 9_000, unrecorded: 1_000, stuck: 1_000 }],
    };
    t.match(obstaclesToBack(state), [
      /^pool p has 9000 addresses given out, and an IPPool holds 8000 records.*node_slice_size/,
    ]);
    t.match(next(state), "the way back is shut");
    t.match(
      next({ ...state, pools: [{ ...POOL, reservations: 8_000 }] }),
      "the way back is railnet ipam takeover back",
    );
  },
);

t.test("obstaclesToBack() are records that stay away, not those on their way", async (t) => {
  t.same(obstaclesToBack({ ...READY, mode: "absent", pools: [{ ...POOL, unrecorded: 3 }] }), []);
  t.match(
    obstaclesToBack({ ...READY, mode: "absent", pools: [{ ...POOL, unrecorded: 3, stuck: 3 }] })[0],
    /^pool p: 3 reservations have no record/,
  );
});

for (const { when, state, want } of [
  { when: "records lack reservations", state: { ...READY, pools: [{ ...POOL, unreserved: 1 }] }, want: /^railnet ipam takeover adopt$/ },
  { when: "what lacks them nobody can adopt", state: { ...READY, pools: [{ ...POOL, isNamed: false, unreserved: 1 }] }, want: /when nothing stands in its way/ },
  { when: "nothing is in the way", state: READY, want: /^railnet ipam takeover finish$/ },
  { when: "something else is in the way", state: { ...READY, agents: [] }, want: /when nothing stands in its way/ },
  { when: "an agent has not followed yet", state: { ...READY, mode: "absent" as const }, want: /^wait: .* node-a$/ },
  { when: "all agents have", state: { ...READY, mode: "absent" as const, agents: [{ ...AGENT, mode: "absent" as const }] }, want: /^nothing: the takeover is done/ },
]) // biome-ignore format: rows
  t.test(`next() when ${when}`, async (t) => t.match(next(state), want));

t.test("readinessOf() counts what is only in one place, and what two have", async (t) => {
  const pool = "10.0.0.0-24";
  const ours = (of: string, since = "2026-01-10T11:00:00Z") => ({ of, pool, since });
  const { snapshot } = stateOf({
    pools: {
      [pool]: { range: "10.0.0.0/24", adopted: true, records: { 1: "default/a", 2: "default/b", 3: "default/c" } },
    },
    reservations: {
      "10.0.0.1": ours("default/a"),
      "10.0.0.2": ours("default/other"),
      "10.0.0.4": ours("default/d"),
      "10.0.0.5": ours("default/e", "2026-01-10T11:59:59Z"),
    },
  });
  const want = {
    pool,
    isAdopted: true,
    isNamed: true,
    records: 3,
    reservations: 4,
    unreserved: 1,
    unrecorded: 2,
    stuck: 1,
    disputed: 1,
  };
  t.same(readinessOf(snapshot, NOW_MS), [want]);
});

t.test("readinessOf() counts the records of a pool whose name tells no network", async (t) => {
  const { snapshot } = stateOf({
    pools: { "some-pool": { range: "10.0.0.0/24", records: { 1: "c1 net1 default/a", 2: "c2 net1 default/b" } } },
  });
  t.match(readinessOf(snapshot, NOW_MS), [{ pool: "some-pool", isNamed: false, records: 2, unreserved: 2 }]);
});
