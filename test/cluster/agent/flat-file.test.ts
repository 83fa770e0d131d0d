import { mkdirSync, mkdtempSync, writeFileSync } from "node:fs";
import t from "tap";
import { ApiServer, freePorts } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { installAgent, installCrds, installWhereabouts } from "../../../lab/cluster/install.ts";
import { makeNode } from "../../../lab/cluster/objects.ts";
import { until } from "../../../lab/until.ts";

// A node with Whereabouts as its own manifest installs it: its role, its flat file, and in its kubeconfig a token that ends
// with its pod. Then the takeover: node.json is written, and Whereabouts' pod goes.

t.setTimeout(600_000);
const api = await ApiServer.start();
t.teardown(() => api.stop());
await installCrds(api.raw);
const ours = api.kubeconfig({ token: await installAgent(api) });
await installWhereabouts(api);
const NODE = "node-a";
await makeNode(api.raw, NODE);
const PODS = "/api/v1/namespaces/kube-system/pods";
const RESERVATIONS = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";

/** What Whereabouts' install-cni.sh leaves on a node. */
async function whereaboutsInstalled(): Promise<string> {
  const spec = { nodeName: NODE, serviceAccountName: "whereabouts", containers: [{ name: "w", image: "none" }] };
  const pod = { apiVersion: "v1", kind: "Pod", metadata: { name: "whereabouts", namespace: "kube-system" }, spec };
  const { metadata } = await api.raw.apply(pod);
  const boundObjectRef = { apiVersion: "v1", kind: "Pod", name: "whereabouts", uid: metadata.uid };
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { expirationSeconds: 3600, boundObjectRef },
  };
  const { status } = await api.raw.post("/api/v1/namespaces/kube-system/serviceaccounts/whereabouts/token", body);
  const folder = `${mkdtempSync(`${api.folder}/flat-`)}/whereabouts.d`;
  mkdirSync(folder);
  const kubeconfig = `${folder}/whereabouts.kubeconfig`;
  const config = {
    clusters: [{ name: "local", cluster: { server: api.url, "certificate-authority": api.pki.path("ca.crt") } }],
    users: [{ name: "whereabouts", user: { token: status.token } }],
    contexts: [{ name: "c", context: { cluster: "local", user: "whereabouts", namespace: "kube-system" } }],
    "current-context": "c",
  };
  writeFileSync(kubeconfig, JSON.stringify(config));
  const flat = { datastore: "kubernetes", configuration_path: folder, kubernetes: { kubeconfig } };
  writeFileSync(`${folder}/whereabouts.conf`, JSON.stringify(flat));
  writeFileSync(`${folder}/nodename`, NODE);
  return `${folder}/whereabouts.conf`;
}

const reserved = async (): Promise<string[]> =>
  (await api.raw.list(RESERVATIONS)).map(({ spec }) => spec.podref).sort();
const config = { cniVersion: "1.1.0", name: "rail0", ipam: { type: "railnet-ipam", range: "10.5.0.0/24" } };
const probe = async (port: number) => {
  const answer = await fetch(`http://127.0.0.1:${port}/readyz`, { headers: { connection: "close" } });
  return `${answer.status} ${await answer.text()}`;
};

t.test(
  "an agent that has only Whereabouts' kubeconfig says what that may not, and an agent with its own is free of it",
  async (t) => {
    const flatFiles = [await whereaboutsInstalled()];
    const node = new ClusterNode(NODE, { folder: api.folder, kubeconfig: "" });
    node.writePolicy({ flatFiles });
    const [port, next] = (await freePorts(2)) as [number, number];
    await node.start("--health", `127.0.0.1:${port}`);
    t.teardown(() => node.stop());
    await until("the probe says so", async () => /^503 .*configmaps/s.test(await probe(port)));
    t.match(node.log(), /"level":"warn".*the API server refuses a watch that this agent needs/);
    t.equal((await node.call("ADD", config, { id: "a", pod: "a" })).exit, 0, "an ADD works all the same");
    t.match(node.claims(), [{ storage: { kubeconfig: /whereabouts\.kubeconfig/ }, owner: { node: NODE } }]);
    await node.stop();

    node.writePolicy({ kubeconfig: ours, flatFiles });
    await api.raw.delete(`${PODS}/whereabouts?gracePeriodSeconds=0`);
    await node.start("--health", `127.0.0.1:${next}`);
    await until("all is well", async () => (await probe(next)).startsWith("200"));
    t.equal((await node.call("ADD", config, { id: "b", pod: "b" })).exit, 0);
    t.same(await reserved(), ["default/a", "default/b"]);
    t.equal((await node.call("DEL", config, { id: "a", pod: "a" })).exit, 0);
    await until(
      "what was claimed by the other token is given back",
      async () => (await reserved()).join() === "default/b",
    );
    t.equal((await node.alone("ADD", config, { id: "c", pod: "c" })).exit, 0, "and so by the executable alone");
    for (const id of ["b", "c"]) await node.alone("DEL", config, { id, pod: id });
    await until("nothing is left", async () => (await reserved()).length === 0);
  },
);
