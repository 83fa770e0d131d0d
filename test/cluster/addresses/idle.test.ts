import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";
import { Agent, pool } from "./support/agent.ts";
import { recorded, setMode } from "./support/world.ts";

t.setTimeout(600_000);
const api = await ApiServer.start({ audit: true });
t.teardown(() => api.stop());
await installCrds(api.raw);
const kubeconfig = api.kubeconfig({ token: await installAgent(api) });

/** `verb resource` of every request that the agents' account began, by the server's own log. */
const requests = (): string[] =>
  readFileSync(`${api.folder}/audit.log`, "utf8")
    .split("\n")
    .filter((line) => line.includes("system:serviceaccount:kube-system:railnet") && line.endsWith("}"))
    .map((line) => JSON.parse(line))
    .filter(({ stage, verb }) => (verb === "watch" ? stage === "ResponseStarted" : stage === "ResponseComplete"))
    .map(({ verb, objectRef }) => `${verb} ${objectRef.resource}`);

const count = (all: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const one of all) counts[one] = (counts[one] ?? 0) + 1;
  return counts;
};

/** Of three nodes, one of which leads. */
const WATCHES = {
  configmaps: 3,
  customresourcedefinitions: 3,
  leases: 4, // the fourth: Whereabouts' own, by the leader
  overlappingrangeipreservations: 4,
  ippools: 1,
  nodes: 1,
  nodeslicepools: 1,
};
/** What is asked for while nothing happens. */
const isOfRest = (one: string): boolean =>
  ["update leases", "list leases", "list railnodes", "list railnetworks"].includes(one);

t.test(
  "ClusterWork of a node has four watches, a leader five more; looks that find nothing ask for leases of gone nodes alone, each tenth time",
  async (t) => {
    await setMode(api.raw, "absent");
    // Looks a hundred times as often as in earnest, the lease six times.
    const options = { lookMs: 600, graceMs: 60_000, durationMs: 30_000, renewMs: 10_000, jitterMs: 200 };
    const rail = pool("rail0", "10.1.0.0/24");
    const agents: Agent[] = [];
    for (const [at, node] of ["node-a", "node-b", "node-c"].entries()) {
      await makeNode(api.raw, node);
      const agent = await Agent.start(node, kubeconfig, options);
      t.teardown(() => agent.stop());
      await until(
        "mode absent",
        () => agent.modes.mode,
        (mode) => mode === "absent",
      );
      for (let i = 1; i <= 5; i++)
        await agent.add(rail, `10.1.0.${10 * at + i}`, {
          podref: `default/p${at}${i}`,
          ifname: "net1",
          containerId: `c${at}${i}`,
        });
      agents.push(agent);
    }
    await until(
      "the view",
      () => recorded(api.raw, rail.name).catch(() => []),
      (view) => view!.length === 15,
    );
    await until(
      "all watches",
      () => count(requests()),
      (seen) => Object.entries(WATCHES).every(([one, times]) => seen[`watch ${one}`] === times),
    );
    let before = requests();
    await until("the last answers", async () => {
      const known = before.length;
      await sleep(2_000);
      before = requests();
      return before.slice(known).every(isOfRest);
    });
    await sleep(25_000);
    const after = requests().slice(before.length);
    const { "update leases": renewals = 0, "list leases": lists = 0, ...others } = count(after);
    const { "list railnodes": comparisons = 0, "list railnetworks": tries = 0, ...rest } = others;
    t.same(rest, {}, "nobody asked anything else");
    t.ok(comparisons <= 1 + 25_000 / options.lookMs / 10, `${comparisons} comparisons of nodes by the leader alone`);
    t.ok(tries <= 3, `${tries} looks for RailNetworks, which are not served here`);
    t.ok(lists <= 1 + 25_000 / options.lookMs / 10, `${lists} lists of leases by the leader alone`);
    t.ok(renewals >= 1 && renewals <= 4, `${renewals} renewals by the leader alone`);
    t.equal(
      agents.reduce((sum, { counters }) => sum + counters.terms, 0),
      1,
    );
  },
);
