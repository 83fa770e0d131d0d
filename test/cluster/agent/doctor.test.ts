import { mkdirSync, writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { FaultProxy } from "../../../lab/cluster/fault-proxy.ts";
import { installAdmission, installAgent, installCrds, installRailObjects } from "../../../lab/cluster/install.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { start } from "../../../lab/netns/run.ts";

t.setTimeout(600_000);
const EXECUTABLE = new URL("../../../dist/test/railnet", import.meta.url).pathname;
const api = await ApiServer.start();
t.teardown(() => api.stop());
const token = await installAgent(api).catch(() => api.token("railnet"));

/** What doctor says of the API server, and of Whereabouts; of the label where this node's RailNetworks are for pods. */
async function doctor(kubeconfig: string, networks: readonly Json[] = []): Promise<Json[]> {
  const { env, folder } = new ClusterNode("node-a", { folder: api.folder, kubeconfig });
  mkdirSync(env["RAILNET_STATE_DIR"]!, { recursive: true });
  writeFileSync(`${env["RAILNET_STATE_DIR"]}/rail-networks.json`, JSON.stringify({ version: 1, networks }));
  const { stdout } = await start(EXECUTABLE, ["doctor", "--json", "--root", folder], { env });
  return JSON.parse(stdout).filter(({ check }: Json) => ["API server", "Whereabouts", "label"].includes(check));
}

t.test("railnet doctor tells a cluster without our definitions", async (t) => {
  t.match(await doctor(api.kubeconfig({ token })), [{ is: "wrong", says: /ippools are not served here: kubectl apply -f manifests\/crds/ }]); // biome-ignore format: one row
});

t.test("railnet doctor tells a good kubeconfig, and the mode", async (t) => {
  await installCrds(api.raw);
  t.match(await doctor(api.kubeconfig({ token })), [
    { check: "API server", is: "ok", says: /answers; .* is good; whereabouts: coexist/ },
    { check: "Whereabouts", is: "ok" },
  ]);
});

t.test("railnet doctor notes a Whereabouts that lives beside us", async (t) => {
  await api.raw.apply({
    apiVersion: "coordination.k8s.io/v1",
    kind: "Lease",
    metadata: { name: "whereabouts", namespace: "kube-system" },
    spec: { holderIdentity: "x", renewTime: new Date().toISOString().replace("Z", "000Z") },
  });
  t.match((await doctor(api.kubeconfig({ token })))[1], {
    is: "note",
    says: /keep its reconciler from running.*Deployment .* to zero .*in the DaemonSet/,
  });
});

t.test("railnet doctor tells whether the label of pods is understood, where RailNetworks are for pods", async (t) => {
  const networks = [{ name: "ishikari", rails: [], pods: { namespaces: {} } }];
  const label = async (kubeconfig: string) => (await doctor(kubeconfig, networks)).find(({ check }) => check === "label");
  const without = [{ name: "ishikari", rails: [] }];
  t.equal((await doctor(api.kubeconfig({ token }), without)).find(({ check }) => check === "label"), undefined);
  t.match(await label(api.kubeconfig({ token })), { is: "note", says: /manifests\/admission\.yaml is not applied.*or apply it/ });
  await installRailObjects(api.raw);
  await installAdmission(api);
  t.match(await label(api.kubeconfig({ token })), { is: "ok", says: /railnet\.io\/rails: all brings a pod its rails/ });
  const before = await FaultProxy.start(api);
  before.on({ path: /mutatingadmissionpolicies/, effect: { kind: "answer", status: 404 } });
  t.match(await label(api.kubeconfig({ server: before.url, token })), { is: "note", says: /no MutatingAdmissionPolicy, which Kubernetes has from 1\.36 on/ });
  await before.stop();
}); // biome-ignore format: rows

t.test("railnet doctor tells a token that is no longer good", async (t) => {
  t.match(await doctor(api.kubeconfig({ token: "expired" })), [{ is: "wrong", says: /\(Unauthorized\); the token or certificate of the kubeconfig is not, or no longer, valid/ }]); // biome-ignore format: one row
});

t.test("railnet doctor tells a server that is down", async (t) => {
  const proxy = await FaultProxy.start(api);
  const kubeconfig = api.kubeconfig({ server: proxy.url, token });
  await proxy.stop();
  t.match(await doctor(kubeconfig), [{ is: "wrong", says: /cannot get ippools railnet-doctor at https:.*ECONNREFUSED|ConnectionRefused/ }]); // biome-ignore format: one row
});
