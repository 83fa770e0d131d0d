import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { settingsOfEngine } from "../../../lab/cluster/engine.ts";
import { installAgent, installCrds, installRailObjects } from "../../../lab/cluster/install.ts";
import { makeNode, makePod } from "../../../lab/cluster/objects.ts";
import { useOf } from "../../../lab/netns/process-use.ts";
import { until } from "../../../lab/until.ts";

t.setTimeout(600_000);
const MINUTES = Number(process.env["RAILNET_IDLE_MINUTES"] ?? 0.7);

const api = await ApiServer.start({ audit: true });
t.teardown(() => api.stop());
await installCrds(api.raw);
await installRailObjects(api.raw);
const token = await installAgent(api);

/** What two agents have asked since the last call: the first one leads, by the server's own log. */
let read = 0;
function requests(): Record<string, number> {
  const lines = readFileSync(`${api.folder}/audit.log`, "utf8").split("\n");
  const counts: Record<string, number> = {};
  for (const line of lines.slice(read).filter((text) => text.includes("system:serviceaccount:kube-system:railnet"))) {
    const { stage, verb, objectRef } = JSON.parse(line);
    if (stage !== (verb === "watch" ? "ResponseStarted" : "ResponseComplete")) continue;
    const key = `${verb} ${objectRef.resource} ${objectRef.name ?? ""}`.trim();
    counts[key] = (counts[key] ?? 0) + 1;
  }
  read = lines.length - 1;
  return counts;
}

t.test(
  "railnet agent that nobody asks stays within 90 MB and 2 requests a minute, and hardly needs a processor",
  async (t) => {
    const nodes: ClusterNode[] = [];
    for (const [i, name] of ["node-a", "node-b"].entries()) {
      await makeNode(api.raw, name);
      const node = new ClusterNode(name, {
        folder: api.folder,
        kubeconfig: api.kubeconfig({ token }),
        env: settingsOfEngine(),
      });
      t.teardown(() => node.stop());
      await node.start("--health", `127.0.0.1:${19_808 + i}`, "--report-seconds", "5");
      nodes.push(node);
      for (let p = 0; p < 4; p++) {
        await makePod(api.raw, `${name}-${p}`, { node: name });
        const config = { cniVersion: "1.1.0", name: "rail0", ipam: { type: "railnet-ipam", range: "10.1.0.0/24" } };
        const { exit } = await node.call("ADD", config, { id: `${name}-${p}`, pod: `${name}-${p}` });
        t.equal(exit, 0);
      }
      await until(
        "a leader",
        async () => (await api.raw.list("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases")).length > 1,
      );
      const scraped = await fetch(`http://127.0.0.1:${19_808 + i}/metrics`, { headers: { connection: "close" } });
      t.match(await scraped.text(), /^railnet_build_info/m, "metrics were scraped once");
    }
    await sleep(15_000); // the last answers, the first looks
    requests();
    const before = nodes.map(({ agent }) => useOf(agent!.pid));
    await sleep(MINUTES * 60_000);
    const asked = requests();
    const after = nodes.map(({ agent }) => useOf(agent!.pid));
    const cpu = after.map((use, i) => ((use.cpuSeconds - before[i]!.cpuSeconds) / (MINUTES * 60)) * 100);
    t.comment(JSON.stringify({ asked, cpu, residentMb: after.map(({ residentMb }) => Math.round(residentMb)) }));
    const most = Math.ceil(2 * nodes.length * MINUTES);
    const all = Object.values(asked).reduce((sum, count) => sum + count, 0);
    t.ok(all <= most, `${all} requests of all, the leader's among them: ${JSON.stringify(asked)}`);
    // 0.2 % on a quiet machine, 0.8 % on a busy one, where each wake-up costs more: a bound for loops that do not rest.
    for (const percent of cpu) t.ok(percent < 8, `${percent.toFixed(2)} % of a processor`);
    for (const { residentMb } of after) t.ok(residentMb <= 90, `${residentMb.toFixed(0)} MB`);
    const leader = (): Promise<string> =>
      api.raw
        .get("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/railnet-leader")
        .then(({ spec }) => spec.holderIdentity);
    const [first, other] = (await leader()).startsWith("node-a_") ? nodes : nodes.toReversed();
    await first!.stop();
    const isOther = async () => (await leader()).startsWith(`${other!.name}_`);
    await until("the other leads: a lease that is not given back is waited for 3 minutes", isOther);
  },
);
