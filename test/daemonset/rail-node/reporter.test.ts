import t from "tap";
import { noCounts } from "../../../daemonset/addresses/counters.ts";
import { LeaderDrift } from "../../../daemonset/addresses/leader/drift.ts";
import type { RailNodeStatus } from "../../../daemonset/rail-node/object.ts";
import type { Observation } from "../../../daemonset/rail-node/observer.ts";
import { Pace } from "../../../daemonset/rail-node/pace.ts";
import { Reporter } from "../../../daemonset/rail-node/reporter.ts";
import { ApiError, NODES } from "../../../kubernetes/cluster.ts";
import { MemoryCluster } from "../../ipam/support/memory-cluster.ts";
import { KeptLog } from "../support/log.ts";
import { nodeOf } from "./support/rail-nodes.ts";

const never = new AbortController().signal;

/** The reporter of `server-N`, whose clock stands still until somebody turns it. */
class Stage {
  readonly cluster: MemoryCluster;
  readonly log = new KeptLog();
  readonly reporter: Reporter;
  status: RailNodeStatus;
  nowMs = 0;

  constructor(cluster: MemoryCluster, n: number) {
    this.cluster = cluster;
    this.status = nodeOf(n).status!;
    this.reporter = new Reporter({
      cluster,
      node: `server-${n}`,
      observer: { look: async () => this.#observed() },
      pace: new Pace({ spreadMs: 60_000, random: () => 0.5 }),
      log: this.log,
      nowMs: () => this.nowMs,
    });
  }

  #observed(): Observation {
    const { conditions, ...rest } = this.status;
    const { status, reason, message } = conditions[0];
    return { ...rest, ready: { status, reason, message } };
  }

  /** Looks as `run` does, for so long. */
  async pass(ms: number): Promise<void> {
    for (const end = this.nowMs + ms; this.nowMs < end; )
      this.nowMs += Math.min(await this.reporter.look(never), end - this.nowMs);
  }

  change(change: (status: { -readonly [K in keyof RailNodeStatus]: RailNodeStatus[K] }) => void): void {
    this.status = structuredClone(this.status);
    change(this.status);
  }
}

async function stageOf(n = 1, cluster = new MemoryCluster()): Promise<Stage> {
  await cluster.create(NODES, {
    metadata: { name: `server-${n}` },
    status: { nodeInfo: { containerRuntimeVersion: "containerd://2.4.2" } },
  } as never);
  cluster.requests.splice(0);
  return new Stage(cluster, n);
}

const writes = ({ cluster }: Stage) => cluster.requests.splice(0).filter((request) => /^(POST|PATCH)/.test(request));

t.test("Reporter makes a RailNode that its Node owns, and is silent while nothing changes", async (t) => {
  const stage = await stageOf();
  await stage.pass(20_000);
  t.same(writes(stage), [], "its own time has not come");
  await stage.pass(3_000_000);
  t.same(writes(stage), ["POST railnodes server-1"]);
  const { metadata, status } = stage.cluster.read("railnodes", "server-1");
  t.match(metadata.ownerReferences, [{ kind: "Node", name: "server-1", uid: /^uid-/ }]);
  t.match(status.conditions, [
    { type: "RailsReady", status: "True" },
    { type: "Drift", status: "Unknown" },
  ]);
  t.match(status.rails.length, 4);
});

t.test("Reporter patches what has changed, once a minute at most, and leaves the leader's verdict alone", async (t) => {
  const stage = await stageOf();
  await stage.pass(60_000);
  await new LeaderDrift({ cluster: stage.cluster, counters: noCounts(), log: stage.log }).look(never);
  t.match(stage.cluster.read("railnodes", "server-1").status.conditions[1], { status: "False", reason: "LikeOthers" });
  writes(stage);
  for (let flap = 0; flap < 30; flap++) {
    stage.change(
      (status) =>
        (status.rails = status.rails.map((rail) => ({ ...rail, carrier: flap % 2 === 1, carrierChanges: flap }))),
    );
    await stage.pass(10_000);
  }
  await stage.pass(120_000);
  t.ok(writes(stage).length <= 7, "300 s of flaps");
  const { status } = stage.cluster.read("railnodes", "server-1");
  t.match(status.rails, [{ carrier: true, carrierChanges: 29 }, {}, {}, {}]);
  t.match(status.conditions[1], { status: "False", reason: "LikeOthers" });
});

for (const { what, act } of [
  { what: "was deleted", act: (c: MemoryCluster) => c.delete({ plural: "railnodes" } as never, "server-1") },
  {
    what: "was changed into something else",
    act: (c: MemoryCluster) => c.mergePatch({ plural: "railnodes" } as never, "server-1", { status: { rails: [] } }),
  },
  {
    what: "lost its status",
    act: (c: MemoryCluster) => c.mergePatch({ plural: "railnodes" } as never, "server-1", { status: null }),
  },
  {
    what: "was made anew by somebody",
    act: async (c: MemoryCluster) => {
      await c.delete({ plural: "railnodes" } as never, "server-1");
      await c.create({ plural: "railnodes" } as never, { metadata: { name: "server-1" } });
    },
  },
])
  t.test(`Reporter puts a RailNode right that ${what}, at its next write`, async (t) => {
    const stage = await stageOf();
    await stage.pass(60_000);
    await act(stage.cluster);
    stage.change((status) => (status.summary = { rails: "4/4", vfs: "31/32" }));
    stage.change((status) => (status.rails = status.rails.map((rail) => ({ ...rail, used: 7 }))));
    await stage.pass(300_000);
    const { status } = stage.cluster.read("railnodes", "server-1");
    t.match(status, { rails: [{ name: "rail0", used: 7 }, {}, {}, { firmware: /./ }], summary: { vfs: "31/32" } });
    t.equal(status.conditions.length, 2);
    t.same(
      stage.log.take().filter((line) => line.startsWith("warn")),
      [],
    );
  });

t.test("Reporter does not write again and again what an older definition leaves out", async (t) => {
  const stage = await stageOf();
  const { cluster } = stage;
  const create = cluster.create.bind(cluster);
  cluster.create = async (resource, object) => {
    const made = await create(resource, object);
    return { ...made, status: { conditions: (made as never as { status: RailNodeStatus }).status.conditions } };
  };
  await stage.pass(3_000_000);
  t.same(writes(stage), ["POST railnodes server-1"]);
});

t.test("Reporter says once that RailNodes are not served, and asks ever more seldom", async (t) => {
  const stage = await stageOf();
  stage.cluster.before = (request) => {
    if (request.includes("railnodes")) throw new ApiError("cannot get railnodes: not found", { status: 404 });
  };
  await stage.pass(7_200_000);
  t.equal(stage.cluster.requests.length, 11, "in two hours: after 10 s, 20 s …, then twice an hour");
  t.match(stage.log.take(), [/^info no RailNode: it is not served here, or not for this agent: kubectl apply/]);
  stage.cluster.before = () => {};
  await stage.pass(1_900_000);
  t.same(stage.cluster.names("railnodes"), ["server-1"], "then they are");
});

t.test("Reporter tries again after an outage, at most once a minute", async (t) => {
  const stage = await stageOf();
  await stage.pass(60_000);
  stage.cluster.requests.splice(0);
  stage.cluster.before = () => {
    throw new ApiError("cannot patch: no answer", { isUnclear: true });
  };
  stage.change((status) => (status.summary = { rails: "3/4", vfs: "0/32" }));
  await stage.pass(600_000);
  t.ok(stage.cluster.requests.length <= 11, `${stage.cluster.requests.length} requests in ten minutes`);
  stage.cluster.before = () => {};
  await stage.pass(180_000);
  t.equal(stage.cluster.read("railnodes", "server-1").status.summary.rails, "3/4");
});

t.test("LeaderDrift says at each node in what it is not like the others, writes once, and takes it back", async (t) => {
  const cluster = new MemoryCluster();
  for (let n = 0; n < 5; n++) await cluster.create({ plural: "railnodes" } as never, nodeOf(n));
  const counters = noCounts();
  const leader = new LeaderDrift({ cluster, counters, log: new KeptLog() });
  const verdicts = () => [0, 1, 2, 3, 4].map((n) => cluster.read("railnodes", `server-${n}`).status.conditions[1]);
  await leader.look(never);
  t.same([counters.nodesCompared, counters.nodesOdd], [5, 0]);
  t.same(
    verdicts().map(({ status }) => status),
    Array(5).fill("False"),
  );
  const before = cluster.read("railnodes", "server-3").status;
  await cluster.mergePatch({ plural: "railnodes" } as never, "server-3", { status: { node: { kernel: "5.15" } } });
  cluster.requests.splice(0);
  await leader.look(never);
  await leader.look(never);
  t.same(cluster.requests.splice(0), ["LIST railnodes ", "PATCH railnodes server-3", "LIST railnodes "], "one patch");
  t.match(verdicts()[3], {
    status: "True",
    reason: "NotLikeOthers",
    message: "kernel 5.15, 4 others 6.8.0-60-generic",
  });
  t.same([counters.nodesCompared, counters.nodesOdd], [5, 1]);
  await cluster.mergePatch({ plural: "railnodes" } as never, "server-3", { status: { node: before.node } });
  await leader.look(never);
  t.match(verdicts()[3], { status: "False" });
});
