// The wall clock of nodes jumps by hours, forward and back, while their agents hold addresses, leases and what is still to be
// given back. Real executables with a clock of their own; the API server's stays right. No clock is ever behind the API server's,
// whose certificates begin to be valid when the test does.
import { rmSync } from "node:fs";
import t from "tap";
import { Clock } from "../../../lab/cluster/clock.ts";
import type { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { Daemon } from "../../../lab/cluster/daemon.ts";
import { installAgent } from "../../../lab/cluster/install.ts";
import { deletePod } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";
import { setMode } from "../addresses/support/world.ts";
import { configOf } from "./support/runtime.ts";
import { startStage } from "./support/stage.ts";

t.setTimeout(600_000);
t.jobs = 1;
const { api, proxy, runtime } = await startStage();
const kubeconfig = api.kubeconfig({ token: await installAgent(api), server: proxy.url });

/** Hours ahead of the API server: in the middle of an ADD, and while a DEL waits for the server. */
const JUMPS = [
  [1, 48],
  [30, 1],
] as const;
const PATIENCE_MS = 90_000;

async function nodeWithClock(name: string): Promise<{ node: ClusterNode; clock: Clock }> {
  const clock = new Clock(api.folder, name);
  clock.jump(8);
  const node = await runtime.node(name, { kubeconfig, env: clock.env });
  await runtime.start(node);
  return { node, clock };
}

const LEASES = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases";
const leader = async () => (await api.raw.request("GET", `${LEASES}/railnet-leader`)).body?.spec?.holderIdentity ?? "";

for (const mode of ["absent", "coexist"] as const)
  t.test(`jumps of the clock beside ${mode} Whereabouts`, async (t) => {
    await setMode(api.raw, mode);
    const nodes = [await nodeWithClock(`${mode}-a`), await nodeWithClock(`${mode}-b`)];
    const network = `clock-${mode}`;
    const config = configOf(network, mode === "absent" ? "10.1.0.0/24" : "10.2.0.0/24");
    const make = ({ node }: { node: ClusterNode }) => runtime.sandbox(node, "agent", network, config);
    const first = await until("a leader", leader, (identity) => identity !== "");
    for (const [at, [inAdd, inDel]] of JUMPS.entries()) {
      const jumping = nodes[at % 2]!;
      const { node, clock } = jumping;
      const [lives, ends, late, lost, slow, next] = await Promise.all(Array.from({ length: 6 }, () => make(jumping)));
      for (const one of [lives!, ends!, late!]) t.equal((await runtime.add(one)).exit, 0);
      node.faults("ipam-add-claimed kill");
      t.equal((await runtime.add(lost!)).exit, null, "an ADD dies with its agent");
      node.faults();
      await runtime.start(node);
      const undo = proxy.on({ effect: { kind: "slow", ms: 2000 }, method: "POST", path: /overlappingrange/ });
      const before = proxy.hits;
      const adding = runtime.add(slow!);
      await until("the ADD waits for an answer", () => proxy.hits > before);
      clock.jump(inAdd);
      t.equal((await adding).exit, 0, "an ADD goes on through the jump");
      undo();
      await proxy.down();
      t.equal((await runtime.del(late!)).exit, 0);
      clock.jump(inDel);
      await runtime.vanish(lost!);
      await proxy.up();
      rmSync(late!.netns);
      await deletePod(api.raw, late!.pod);
      t.equal(await runtime.end(ends!), 1);
      t.equal((await runtime.add(next!)).exit, 0);
      t.same(await runtime.wrong(network, PATIENCE_MS), [], `${inAdd} h, then ${inDel} h ahead`);
    }
    t.equal((await leader()).split("_")[0], first.split("_")[0], "the same node leads");
    for (const { node } of nodes) await node.stop();
  });

t.test("a leader stays through jumps of its clock, and another one follows when it is killed", async (t) => {
  await api.raw.delete(`${LEASES}/railnet-leader`);
  const script = new URL("../addresses/support/agent-process.ts", import.meta.url).pathname;
  const agents = new Map(
    ["ahead-1", "ahead-30"].map((name) => {
      const clock = new Clock(api.folder, name);
      clock.jump(Number(name.slice("ahead-".length)));
      const command = [process.execPath, script, name, kubeconfig, JSON.stringify({ durationMs: 10_000 })];
      return [name, { clock, agent: Daemon.start(command, `${api.folder}/${name}.log`, clock.env) }];
    }),
  );
  const nameOf = async () => (await leader()).split("_")[0]!;
  const spec = async () => (await api.raw.get(`${LEASES}/railnet-leader`)).spec;
  const name = await until("a leader", nameOf, (one) => agents.has(one));
  const { clock, agent } = agents.get(name)!;
  const { leaseTransitions } = await spec();
  for (const hours of [20, 1, 48]) {
    clock.jump(hours);
    for (let times = 0; times < 3; times++) {
      const { renewTime } = await spec();
      await until(`${name} renews`, async () => (await spec()).renewTime !== renewTime);
    }
  }
  t.match(await spec(), { leaseTransitions, holderIdentity: new RegExp(`^${name}_`) });
  await agent.stop("SIGKILL");
  // What it wrote last is from the future.
  await until("another leader", nameOf, (one) => agents.has(one) && one !== name);
});
