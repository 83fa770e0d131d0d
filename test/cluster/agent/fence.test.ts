// The fence by lease from end to end: a real agent with `fence: lease`, whose API server is away for longer than the leader's
// patience, and two pods with addresses of the cluster. Veth pairs stand in for VFs, so the link in the pod is what goes down.
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import { wayIn } from "../../../lab/cluster/way-in.ts";
import { inside } from "../../../lab/netns/inside.ts";
import { World } from "../../../lab/netns/world.ts";
import { until } from "../../../lab/until.ts";
import { RESERVATIONS } from "../addresses/support/world.ts";

t.setTimeout(600_000);
/** The leader's patience is six times as long, and the node's a sixth shorter: 20 s, looked at every 10 s. */
const GRACE_SECONDS = 4;

const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
for (const node of ["node-a", "node-b"]) await makeNode(api.raw, node); // else the leader takes what is theirs
await api.raw.apply({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "railnet-config", namespace: "kube-system" },
  data: { whereabouts: "absent" },
});
const proxy = await FaultProxy.start(api);
t.teardown(() => proxy.stop());
const world = await World.create();
t.teardown(() => world.close());

const way = wayIn(world, proxy.url);
t.teardown(() => way.close());

const configDir = join(world.dir, "config");
mkdirSync(configDir);
writeFileSync(join(configDir, "fence"), "lease\n");
const kubeconfig = api.kubeconfig({ server: way.url, token: await installAgent(api) });
writeFileSync(join(world.dir, "node.json"), JSON.stringify({ node: "node-a", kubeconfig, flatFiles: [] }));
const agent = world.startAgent(9808, {}, ["--grace-seconds", `${GRACE_SECONDS}`, "--config-dir", configDir]);
t.teardown(() => agent.end("SIGKILL"));
await agent.ready();

t.test(
  "railnet agent takes VFs down when nobody has heard of its node, and lets those up that are still its own",
  async (t) => {
    const ipam = { type: "railnet-ipam", range: "10.1.0.0/24", routes: [{ dst: "10.1.0.0/16" }] };
    const pods = await Promise.all([world.pod(), world.pod()]);
    const attachments = pods.map((pod, i) => {
      const env = { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=p${i}` };
      return world.attachment(pod, { deviceID: world.vfs[i]!.pci, ipam }, { env });
    });
    for (const attachment of attachments) {
      const { exit, stdout } = await world.call("shim", "ADD", attachment);
      t.equal(exit, 0, stdout);
    }
    const picture = () => Promise.all(pods.map((pod) => inside(pod)));
    const ups = async () => (await picture()).map(({ up }) => up);
    const before = await picture();
    t.same(await ups(), [true, true]);
    await until(
      "the node's lease",
      async () =>
        (await api.raw.list("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases")).map(
          ({ metadata }) => metadata.name,
        ),
      (names) => names.includes("railnet-node-node-a"),
    );
    await proxy.down();
    await until("both are down", ups, (up) => up.every((one) => !one));
    t.match(agent.log, /VF taken down: this node cannot report/);
    const [kept, lost] = ["10.1.0.1", "10.1.0.2"];
    const spec = { podref: "default/other", ifname: "net1", containerid: "other" };
    await api.raw.merge(`${RESERVATIONS}/${lost}`, { metadata: { labels: { "railnet.io/node": "node-b" } }, spec });
    await proxy.up();
    const isFirst = before[0]!.addresses.includes(`${kept}/24`);
    const want = [isFirst, !isFirst];
    await until("one is up again", ups, (up) => JSON.stringify(up) === JSON.stringify(want));
    await until(
      "the agent says why",
      () => agent.log,
      (log) => /VF stays down: its address was given to another pod/.test(log),
    );
    const mine = want.indexOf(true);
    t.same((await picture())[mine], before[mine], "with its addresses and routes");
  },
);
