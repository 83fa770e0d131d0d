// An address out of quarantine from end to end: a real API server, the real executables, and a rail (a veth pair, whose far
// end stands for the sandbox of a node that nobody hears) that answers ARP.
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { wayIn } from "../../../lab/cluster/way-in.ts";
import { type Via, WAYS } from "../../../lab/netns/call.ts";
import { inside } from "../../../lab/netns/inside.ts";
import { leftovers } from "../../../lab/netns/unchanged.ts";
import { World } from "../../../lab/netns/world.ts";
import { until } from "../../../lab/until.ts";
import { POOLS, RESERVATIONS } from "../addresses/support/world.ts";

t.setTimeout(600_000);
const api = await ApiServer.start();
t.teardown(() => api.stop());
const { raw } = api;
await installCrds(raw);
for (const node of ["node-a", "node-b"]) await makeNode(raw, node);
await raw.apply({
  apiVersion: "v1",
  kind: "ConfigMap",
  metadata: { name: "railnet-config", namespace: "kube-system" },
  data: { whereabouts: "absent" },
});
const token = await installAgent(api);
const world = await World.create();
t.teardown(() => world.close());
const way = wayIn(world, api.url);
t.teardown(() => way.close());
writeFileSync(
  join(world.dir, "node.json"),
  JSON.stringify({ node: "node-a", kubeconfig: api.kubeconfig({ server: way.url, token }), flatFiles: [] }),
);
const silent = new ClusterNode("node-b", { folder: api.folder, kubeconfig: api.kubeconfig({ token }) });
const pod = await world.pod();
const port = `${world.vfs[0]!.netdev}p`;

/** A network of three addresses. */
const networkOf = (name: string) => ({
  type: "railnet-ipam",
  network_name: name,
  range: "10.1.0.0/29",
  exclude: ["10.1.0.4/30"],
});
const reservationsOf = async (network: string): Promise<Json[]> =>
  (await raw.list(RESERVATIONS)).filter(({ metadata }) => metadata.name.startsWith(`${network}-`));
const ofIp = (network: string, ip: string) => raw.get(`${RESERVATIONS}/${network}-${ip}`);
const holders = async (network: string) => (await reservationsOf(network)).map(({ spec }) => spec.podref).sort();

/** Three pods of a node that then is silent, in a pool whose reservations decide: their addresses, the first in quarantine first. */
async function lost(network: string): Promise<string[]> {
  const config = { cniVersion: "1.1.0", name: "rail0-net", ipam: networkOf(network) };
  for (const id of ["x", "y", "z"]) {
    const { exit, json } = await silent.alone("ADD", config, { id: `${network}-${id}`, pod: id });
    if (exit !== 0) throw new Error(json.msg);
  }
  const pool = `${POOLS}/${network}-10.1.0.0-29`;
  await raw.merge(pool, {
    metadata: { annotations: { "railnet.io/adopted": "true" } },
    spec: { allocations: { 1: null, 2: null, 3: null } },
  });
  const ips: string[] = [];
  for (const [i, { metadata }] of (await reservationsOf(network)).entries()) {
    const since = new Date(Date.now() - 3_000_000 + i * 1000).toISOString();
    const none = { "railnet.io/node": null, "railnet.io/pod-uid": null };
    await raw.merge(`${RESERVATIONS}/${metadata.name}`, {
      metadata: { labels: none, annotations: { "railnet.io/quarantined": since, "railnet.io/node": null } },
      spec: { podref: "quarantined", ifname: "", containerid: "" },
    });
    ips.push(metadata.name.slice(network.length + 1));
  }
  return ips;
}

const attachment = (network: string, id: string) =>
  world.attachment(
    pod,
    { ipam: networkOf(network) },
    { id, env: { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${id}` } },
  );

async function withAgent<T>(via: Via, run: () => Promise<T>): Promise<T> {
  if (via !== "shim") return run();
  const agent = await world.startAgent().ready();
  try {
    return await run();
  } finally {
    await agent.end();
  }
}

for (const via of WAYS)
  t.test(`ADD asks the rail for what was in quarantine, and takes what nobody answers for (${via})`, (t) =>
    withAgent(via, async () => {
      const network = `rail-${via}`;
      const [first, second, third] = (await lost(network)) as [string, string, string];
      await world.host.batch([first, second].map((ip) => `addr add ${ip}/32 dev ${port}`));
      const mac = String((await world.host.show("link", "show", port))[0]?.["address"]);
      const before = { ...(await leftovers(world)), pod: await inside(pod) };
      for (const [i, ip] of [first, second].entries()) {
        const refused = await world.call(via, "ADD", attachment(network, `${via}-refused-${i}`));
        t.match(refused, {
          exit: 1,
          json: { code: 105, msg: `cannot use address ${ip}: the host ${mac} has it already` },
        });
        await until(
          "it is in quarantine again",
          () => holders(network),
          (all) => all.every((one) => one === "quarantined"),
        );
      }
      t.same({ ...(await leftovers(world)), pod: await inside(pod) }, before, "nothing of them is left");
      const good = attachment(network, `${via}-good`);
      const added = await world.call(via, "ADD", good);
      t.match(added, { exit: 0, json: { ips: [{ address: `${third}/29` }] } }, added.stdout);
      t.notMatch(added.stdout, "probe", "nothing of it goes to the runtime");
      t.match(await inside(pod), { up: true, addresses: [`${third}/29`] });
      t.equal((await ofIp(network, third)).spec.podref, `default/${via}-good`);
      t.match(await world.call(via, "ADD", attachment(network, `${via}-none`)), { exit: 1 }, "that VF is in use");
      t.equal((await world.call(via, "DEL", good)).exit, 0);
      await until(
        "it is given back",
        () => holders(network),
        (all) => all.every((one) => one === "quarantined"),
      );
      await world.host.batch([`addr del ${first}/32 dev ${port}`]);
      const again = attachment(network, `${via}-again`);
      t.match(
        await world.call(via, "ADD", again),
        { exit: 0, json: { ips: [{ address: `${first}/29` }] } },
        "the first in turn again",
      );
      t.equal((await world.call(via, "DEL", again)).exit, 0);
      await world.host.batch([`addr del ${second}/32 dev ${port}`]);
      t.same(world.records(), []);
    }),
  );

t.test("ADD does not ask for an address that was free: who answers for it is not heard", (t) =>
  withAgent("shim", async () => {
    await world.host.batch([`addr add 10.1.0.1/32 dev ${port}`]);
    const free = attachment("rail-free", "free");
    const added = await world.call("shim", "ADD", free);
    t.match(added, { exit: 0, json: { ips: [{ address: "10.1.0.1/29" }] } }, added.stdout);
    t.equal((await world.call("shim", "DEL", free)).exit, 0);
    await world.host.batch([`addr del 10.1.0.1/32 dev ${port}`]);
  }),
);
