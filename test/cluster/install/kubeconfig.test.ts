import { spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import t from "tap";
import { ApiServer } from "../../../lab/cluster/api-server.ts";
import { ClusterNode } from "../../../lab/cluster/cluster-node.ts";
import { Daemon } from "../../../lab/cluster/daemon.ts";
import { installAgent, installCrds } from "../../../lab/cluster/install.ts";
import type { Json } from "../../../lab/cluster/raw.ts";
import { start } from "../../../lab/netns/run.ts";
import { until } from "../../../lab/until.ts";

const api = await ApiServer.start({ audit: true });
const work = mkdtempSync(join(tmpdir(), "railnet-install-"));
t.teardown(async () => {
  await api.stop();
  rmSync(work, { recursive: true });
});
await installCrds(api.raw);
const podToken = await installAgent(api);
const DIST = resolve(import.meta.dirname, "../../../dist/test");
const NODE = "node-a";

/** What a build gives, with a stand-in for the full executable. */
const from = join(work, "from");
mkdirSync(from);
writeFileSync(join(from, "railnet"), "full");
writeFileSync(join(from, "railnet-shim"), "railnet-host-exec");

const node = (): Promise<Json> =>
  api.raw.apply({ apiVersion: "v1", kind: "Node", metadata: { name: NODE, labels: { test: "true" } } });
await node();

/** The agent as in its pod: the service account's files where client-go has them, the API server by its service. */
const inPod = join(work, "in-pod");
const secrets = join(work, "secrets");
mkdirSync(secrets);
for (const [file, text] of [
  ["token", podToken],
  ["ca.crt", readFileSync(api.pki.path("ca.crt"), "utf8")],
  ["namespace", "kube-system"],
])
  writeFileSync(join(secrets, file!), text!);
const PLACE = "/var/run/secrets/kubernetes.io/serviceaccount";
writeFileSync(
  inPod,
  `#!/bin/sh
[ -n "$INSIDE" ] || INSIDE=1 exec unshare --mount --propagation private "$0" "$@"
mount -t tmpfs tmpfs /run && mkdir -p ${PLACE} && mount --bind ${secrets} ${PLACE} && exec "$@"
`,
);
chmodSync(inPod, 0o755);

interface Place {
  readonly root: string;
  readonly kubeconfig: string;
  readonly env: Record<string, string>;
}

function place(env: Record<string, string> = {}): Place {
  const root = mkdtempSync(join(work, "node-"));
  const { port } = new URL(api.url);
  return {
    root,
    kubeconfig: join(root, "etc/railnet/kubeconfig"),
    env: {
      RAILNET_STATE_DIR: join(root, "state"),
      RAILNET_RUN_DIR: join(root, "run-railnet"),
      RAILNET_SYSFS: join(root, "sys"),
      RAILNET_NODE_CONFIG: join(root, "etc/railnet/node.json"),
      RAILNET_NETNS_DIR: join(root, "netns"),
      KUBERNETES_SERVICE_HOST: "127.0.0.1",
      KUBERNETES_SERVICE_PORT: port,
      NODENAME: NODE,
      ...env,
    },
  };
}

/** An agent that installs, and listens nowhere. */
const agentCommand = (root: string): string[] => [
  join(DIST, "railnet"),
  "agent",
  "--health",
  "",
  "--metrics",
  "",
  "--install",
  "--root",
  root,
  "--from",
  from,
];

async function agentIn({ root, env }: Place, log = join(root, "agent.log")): Promise<Daemon & { text(): string }> {
  const command = [inPod, ...agentCommand(root)];
  const agent = Daemon.start(command, log, env);
  const text = () => readFileSync(log, "utf8");
  await until("the agent is ready", () => {
    if (agent.ended) throw new Error(text());
    return text().includes('"msg":"agent ready"');
  });
  return Object.assign(agent, { text });
}

const tokenIn = (kubeconfig: string): string => JSON.parse(readFileSync(kubeconfig, "utf8")).users[0].user.token;
const isGood = async (kubeconfig: string): Promise<boolean> => {
  try {
    const { authenticated, user } = await review(tokenIn(kubeconfig));
    return authenticated === true && user.username.endsWith(":railnet-node");
  } catch {
    return false; // broken
  }
};
const claimsOf = (token: string): Json => JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString());

/** What the API server itself makes of a token. */
async function review(token: string): Promise<Json> {
  const body = { apiVersion: "authentication.k8s.io/v1", kind: "TokenReview", spec: { token } };
  return (await api.raw.post("/apis/authentication.k8s.io/v1/tokenreviews", body)).status;
}

/** How many requests of the agent's are in the audit log that are about this. */
const requests = (verb: string, path: string): number =>
  readFileSync(`${api.folder}/audit.log`, "utf8")
    .split("\n")
    .filter((line) => line.includes("system:serviceaccount:kube-system:railnet") && line.includes(`"verb":"${verb}"`))
    .filter((line) => line.includes(path)).length;
const tokens = (): number => requests("create", "serviceaccounts/railnet-node/token");
const looks = (): number => requests("get", `/nodes/${NODE}`);

t.test("railnet agent --install in a pod writes a kubeconfig that is bound to the Node, root's alone", async (t) => {
  const here = place();
  const agent = await agentIn(here);
  t.equal((statSync(here.kubeconfig).mode & 0o7777).toString(8), "600");
  const token = tokenIn(here.kubeconfig);
  const { iat, exp, "kubernetes.io": bound } = claimsOf(token);
  const { metadata } = await api.raw.get(`/api/v1/nodes/${NODE}`);
  t.same(bound.node, { name: NODE, uid: metadata.uid });
  t.notOk(bound.pod, "and not to the pod, with which it would die");
  t.equal(exp - iat, 24 * 3600);
  t.match(await review(token), {
    authenticated: true,
    user: { username: "system:serviceaccount:kube-system:railnet-node" },
  });
  t.match(JSON.parse(readFileSync(here.env["RAILNET_NODE_CONFIG"]!, "utf8")), {
    node: NODE,
    kubeconfig: "/etc/railnet/kubeconfig",
  });
  const byPod = () => requests("watch", "configmaps");
  await until("the agent itself acts by its pod's account", () => byPod() > 0);
  await agent.stop();
  t.equal(tokenIn(here.kubeconfig), token, "it stays when the agent stops");
});

t.test("with that kubeconfig the stand-alone executable reserves an address while there is no agent", async (t) => {
  const here = place();
  await (await agentIn(here)).stop();
  const alone = new ClusterNode(NODE, { folder: work, kubeconfig: here.kubeconfig, dist: DIST });
  const config = {
    cniVersion: "1.1.0",
    name: "rail0",
    type: "railnet-sriov",
    ipam: { type: "railnet-ipam", range: "10.7.0.0/24" },
  };
  const sandbox = { id: "a".repeat(64), pod: "pod" };
  const added = await alone.alone("ADD", config, sandbox);
  t.equal(added.exit, 0, JSON.stringify(added.json));
  const reservations = "/apis/whereabouts.cni.cncf.io/v1alpha1/namespaces/kube-system/overlappingrangeipreservations";
  t.match(await api.raw.list(reservations), [{ spec: { podref: "default/pod", containerid: sandbox.id } }]);
  t.equal((await alone.alone("DEL", config, sandbox)).exit, 0);
  t.same(await api.raw.list(reservations), []);
});

/** A kubeconfig as the agent left it, with a token whose first half has gone by. */
function age(kubeconfig: string, seconds: number): void {
  const config = JSON.parse(readFileSync(kubeconfig, "utf8"));
  const [head, , signature] = config.users[0].user.token.split(".");
  const claims = claimsOf(config.users[0].user.token);
  const older = { ...claims, iat: claims.iat - seconds, exp: claims.exp - seconds };
  config.users[0].user.token = [head, Buffer.from(JSON.stringify(older)).toString("base64url"), signature].join(".");
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
}

for (const [what, change, isReplaced] of [
  ["a young token", () => {}, false],
  ["a token of 11 hours", ({ kubeconfig }: Place) => age(kubeconfig, 11 * 3600), false],
  ["a token that is made in an hour, by this node's clock", ({ kubeconfig }: Place) => age(kubeconfig, -3600), true],
  ["a token of 13 hours", ({ kubeconfig }: Place) => age(kubeconfig, 13 * 3600), true],
  ["a broken file", ({ kubeconfig }: Place) => writeFileSync(kubeconfig, "{"), true],
  ["a file that others can read", ({ kubeconfig }: Place) => chmodSync(kubeconfig, 0o644), true],
  ["a token of a Node object that is no more", renewNode, true],
  ["a token of the agent's own account", ofAgent, true],
] as const)
  t.test(`railnet agent --install ${isReplaced ? "replaces" : "keeps"} ${what}`, async (t) => {
    const here = place();
    await (await agentIn(here)).stop();
    await change(here);
    const before = { tokens: tokens(), looks: looks(), text: readFileSync(here.kubeconfig, "utf8") };
    const agent = await agentIn(here);
    await until("it has looked at its node", () => looks() > before.looks);
    if (isReplaced) await until("the kubeconfig is good", () => isGood(here.kubeconfig));
    if (isReplaced) await until("it is written", () => (statSync(here.kubeconfig).mode & 0o7777) === 0o600);
    await agent.stop();
    t.equal(tokens() - before.tokens, isReplaced ? 1 : 0);
    t.equal(readFileSync(here.kubeconfig, "utf8") === before.text, !isReplaced);
    t.equal((statSync(here.kubeconfig).mode & 0o7777).toString(8), "600");
  });

async function renewNode(): Promise<void> {
  await api.raw.delete(`/api/v1/nodes/${NODE}`);
  await node();
}

/** As versions before wrote it. */
async function ofAgent({ kubeconfig }: Place): Promise<void> {
  const config = JSON.parse(readFileSync(kubeconfig, "utf8"));
  const { metadata } = await api.raw.get(`/api/v1/nodes/${NODE}`);
  const boundObjectRef = { apiVersion: "v1", kind: "Node", name: NODE, uid: metadata.uid };
  const body = {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    spec: { expirationSeconds: 86_400, boundObjectRef },
  };
  const { status } = await api.raw.post("/api/v1/namespaces/kube-system/serviceaccounts/railnet/token", body);
  config.users[0].user.token = status.token;
  writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
}

t.test(
  "railnet agent --install starts while the API server is away, says so, and has its kubeconfig soon after",
  async (t) => {
    const here = place();
    await api.down("SIGKILL");
    const agent = await agentIn(here);
    t.notOk(existsSync(here.kubeconfig));
    t.ok(existsSync(join(here.root, "opt/cni/bin/railnet-sriov")), "the executables are there");
    t.match(agent.text(), /"what":"kubeconfig of this node".*background work failed/);
    await api.startAgain();
    await until("the kubeconfig is there", () => existsSync(here.kubeconfig));
    t.match(await review(tokenIn(here.kubeconfig)), { authenticated: true });
    await agent.stop();
  },
);

t.test("railnet agent --install in a pod without its node's name says what the pod lacks", async (t) => {
  const here = place({ NODENAME: "" });
  const { exit, stderr } = await start(inPod, [join(DIST, "railnet"), "agent", "--install"], { env: here.env });
  t.equal(exit, 1);
  t.match(stderr, "NODENAME is not set; give the pod its node's name by the downward API");
});

t.test("railnet install --kubeconfig gets a node its own kubeconfig by an administrator's", async (t) => {
  const here = place();
  const args = ["install", "--root", here.root, "--from", from, "--kubeconfig", api.kubeconfig(), "--node", NODE];
  const { exit, stdout, stderr } = await start(join(DIST, "railnet"), args, { env: here.env });
  t.equal(exit, 0, stderr);
  t.match(stdout, `installed  ${here.kubeconfig}`);
  t.match(claimsOf(tokenIn(here.kubeconfig)), { "kubernetes.io": { node: { name: NODE } } });
  const unknown = await start(join(DIST, "railnet"), [...args.slice(0, -1), "nowhere"], { env: here.env });
  t.match(unknown, { exit: 1, stderr: "cannot get a token for node nowhere: the cluster has no Node of that name" });
});

for (const step of ["install-kubeconfig-written", "install-kubeconfig-placed"])
  t.test(`railnet agent that is killed at ${step} leaves the old kubeconfig or the new one, whole`, async (t) => {
    const here = place();
    await (await agentIn(here)).stop();
    age(here.kubeconfig, 13 * 3600);
    const old = tokenIn(here.kubeconfig);
    writeFileSync(join(here.root, "faults"), `${step} kill`);
    const command = agentCommand(here.root);
    const env = { PATH: process.env["PATH"]!, ...here.env, RAILNET_FAULT_FILE: join(here.root, "faults") };
    const child = spawn(inPod, command, { env, stdio: "ignore" });
    t.equal(await new Promise((resolve) => child.on("close", (_, signal) => resolve(signal))), "SIGKILL");
    const now = tokenIn(here.kubeconfig);
    t.equal(now === old, step.endsWith("written"));
    const agent = await agentIn(here);
    await until("the kubeconfig is good", () => isGood(here.kubeconfig));
    t.same(existsSync(`${here.root}/etc/railnet/.kubeconfig.railnet-new`), false);
    await agent.stop();
  });
