import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { Ran } from "../../lab/netns/run.ts";
import { World } from "../../lab/netns/world.ts";

// biome-ignore lint/suspicious/noExplicitAny: what stands in the archive, as it is
type Json = any;
const work = mkdtempSync(join(tmpdir(), "railnet-sysdump-"));
t.teardown(() => rmSync(work, { recursive: true }));

/** Never in an archive, wherever it stands. */
const SECRET = "qX7vSecret9Lm2Zt";
const JWT = `eyJhbGciOiJSUzI1NiIsImtpZCI6IiJ9.${SECRET}.c2lnbmF0dXJl`;
const KEY = `-----BEGIN RSA PRIVATE KEY-----\n${SECRET}\n-----END RSA PRIVATE KEY-----\n`;
const hostRoot = join(work, "host");
const configDir = join(work, "config");
const world = await World.create({
  vfs: 2,
  env: { RAILNET_PROBE_PASSWORD: SECRET, AWS_SECRET_ACCESS_KEY: SECRET, KUBECONFIG: join(work, "kubeconfig") },
});
t.teardown(() => world.close());

function plant(path: string, text: string): void {
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, text);
}
const PLAIN = "Zk4PlainValue8Rw"; // known by the kubeconfig alone: no form and no key gives it away elsewhere
plant(
  join(work, "kubeconfig"),
  `users:\n- name: u\n  user:\n    token: ${PLAIN}\n    client-key-data: ${Buffer.from(KEY).toString("base64")}\n`,
);
const netd = join(hostRoot, "etc/cni/net.d");
plant(
  join(netd, "10-other.conflist"),
  JSON.stringify({
    name: "o",
    plugins: [{ type: "calico", policy: { k8s_auth_token: SECRET }, kubernetes: { kubeconfig: "/x" } }],
  }),
);
plant(join(netd, "20-broken.conf"), `{ "type": "x", "password": "${SECRET}"\n`);
plant(join(netd, "calico-kubeconfig"), `token: ${SECRET}\n`);
plant(join(netd, "whereabouts.d/whereabouts.kubeconfig"), `token: ${SECRET}\n`);
plant(join(netd, "30-key.conf"), KEY);
plant(join(configDir, "rails"), `[]\n# password: ${SECRET}\n`);
plant(join(world.dir, "node.json"), JSON.stringify({ directory: join(work, "addresses"), apiToken: SECRET }));
plant(
  join(hostRoot, "var/log/pods/kube-system_railnet-abcde_1/agent/0.log"),
  `2026 stdout F {"level":"warn","msg":"x","error":"401 for Bearer ${JWT}"}\n2026 stdout F password=${SECRET} ${PLAIN}\n`,
);
plant(join(hostRoot, "var/log/pods/default_app-1_2/main/0.log"), `another pod's ${SECRET}\n`);
plant(join(world.deviceInfoDir, "a-device.json"), JSON.stringify({ type: "pci", secret: SECRET }));
plant(join(world.stateDir, "attachments/0123456789abcdef@torn.json"), `{"config": {"token": "${SECRET}", "a`);

interface Dump extends Ran {
  readonly folder: string;
  readonly index: Json;
}

async function sysdump(...more: string[]): Promise<Dump> {
  const to = join(work, `dump-${readdirSync(work).length}.tar.gz`);
  const ran = await world.railnet("sysdump", "--config-dir", configDir, "--output", to, ...more);
  if (ran.exit !== 0) throw new Error(ran.stderr);
  const into = to.replace(".tar.gz", "");
  mkdirSync(into);
  execFileSync("tar", ["-xzf", to, "-C", into]);
  const folder = join(into, readdirSync(into)[0]!);
  return { ...ran, folder, index: JSON.parse(readFileSync(join(folder, "sysdump.json"), "utf8")) };
}

/** Files below a folder that have a text in them, by grep(1); also in archives and base64. */
function filesWith(folder: string, text: string): string {
  const forms = [text, Buffer.from(text).toString("base64").slice(0, 16)];
  const { stdout } = execFileSyncAnyhow("grep", ["-rlaF", ...forms.flatMap((form) => ["-e", form]), folder]);
  return stdout.replaceAll(folder, "");
}

function execFileSyncAnyhow(program: string, args: readonly string[]): { stdout: string } {
  try {
    return { stdout: execFileSync(program, args, { encoding: "utf8" }) };
  } catch (error) {
    return { stdout: String((error as { stdout?: string }).stdout ?? "") };
  }
}

t.test("railnet sysdump has what helps, as others see it", async (t) => {
  await world.agent();
  const pod = await world.pod();
  const attachment = world.attachment(pod, { args: { cni: { token: SECRET } } });
  t.equal((await world.call("shim", "ADD", attachment)).exit, 0);
  const { folder, index, stderr } = await sysdump();
  const json = (path: string): Json => JSON.parse(readFileSync(join(folder, path), "utf8"));
  t.equal(json("railnet/status.json").attachments.length, 1);
  t.ok(json("railnet/doctor.json").length > 3);
  t.match(readFileSync(join(folder, "railnet/metrics.txt"), "utf8"), /^railnet_attachments 1$/m);
  t.match(readFileSync(join(folder, "railnet/process.txt"), "utf8"), /^VmRSS:/m);
  t.equal(readdirSync(join(folder, "state/attachments")).length, 1);
  t.equal(readdirSync(join(folder, "state/torn")).length, 1, "what the agent could not read");
  const shown = (await world.host.show("link")) as Json[];
  t.same(
    json("network/link.json").map(({ ifname }: Json) => ifname),
    shown.map(({ ifname }) => ifname),
  );
  t.match(readFileSync(join(folder, "sysfs/rails.txt"), "utf8"), /^0000:a0:00\.0\/driver -> ice$/m);
  t.match(readFileSync(join(folder, "environment.txt"), "utf8"), /^AWS_SECRET_ACCESS_KEY \(value left out\)$/m);
  t.ok(index.items.length > 40);
  for (const { path, error } of index.items) t.equal(existsSync(join(folder, path)), error === undefined, path);
  t.match(stderr, /files, [\d.]+ [kM]B\n$/);
  t.equal((await world.call("shim", "DEL", attachment)).exit, 0);
});

t.test("railnet sysdump of a container's agent has the host's files and no secret of any kind", async (t) => {
  const { folder } = await sysdumpInContainer();
  for (const path of [
    "settings/etc/cni/net.d/10-other.conflist",
    "settings/etc/cni/net.d/20-broken.conf",
    "settings/etc/cni/net.d/30-key.conf",
    "settings/node.json",
    "settings/config/rails",
    "logs/kube-system_railnet-abcde_1/0.log",
    "state/device-info/a-device.json",
  ])
    t.ok(existsSync(join(folder, path)), path);
  t.match(JSON.parse(readFileSync(join(folder, "settings/etc/cni/net.d/10-other.conflist"), "utf8")), {
    plugins: [{ type: "calico", kubernetes: { kubeconfig: "/x" } }],
  });
  t.match(readFileSync(join(folder, "settings/etc/cni/net.d.txt"), "utf8"), /whereabouts\.kubeconfig/, "named");
  for (const secret of [SECRET, PLAIN, JWT]) t.equal(filesWith(folder, secret), "", "nowhere");
  t.equal(filesWith(folder, "another pod's"), "", "no other pod's log");
  plant(join(folder, "control"), SECRET);
  t.equal(filesWith(folder, SECRET), "/control\n", "and grep would find it");
});

/** As in the agent's pod: the host's files are elsewhere. The helper that enters the host is not there: what it would run is named. */
async function sysdumpInContainer(): Promise<Dump> {
  const to = join(work, "in-container.tar.gz");
  const [command, args] = world.host.enter(world.executable, "sysdump", "--config-dir", configDir, "-o", to);
  execFileSync(command, args, { env: { ...process.env, ...world.env, RAILNET_HOST_ROOT: hostRoot } });
  const folder = join(work, "in-container");
  mkdirSync(folder);
  execFileSync("tar", ["-xzf", to, "-C", folder, "--strip-components=1"]);
  const index = JSON.parse(readFileSync(join(folder, "sysdump.json"), "utf8"));
  return { exit: 0, signal: null, stdout: "", stderr: "", ms: 0, folder, index };
}

t.test("railnet sysdump without an agent, with a broken node.json, is an archive all the same", async (t) => {
  await world.noAgent();
  plant(join(world.dir, "node.json"), "{ no");
  const { folder, index } = await sysdump();
  const unread = Object.fromEntries(
    index.items.filter(({ error }: Json) => error).map(({ path, error }: Json) => [path, error]),
  );
  t.match(unread["railnet/metrics.txt"], /no agent answers/);
  t.equal(readFileSync(join(folder, "settings/node.json"), "utf8"), "{ no");
  t.ok(existsSync(join(folder, "network/link.json")));
});

t.test("railnet sysdump to standard output is the archive and nothing else; bad arguments are named", async (t) => {
  const out = join(work, "stdout.tar.gz");
  const [command, args] = world.host.enter("sh", "-c", `exec "$0" sysdump --output - > ${out}`, world.executable);
  execFileSync(command, args, { env: { ...process.env, ...world.env }, stdio: ["ignore", "inherit", "ignore"] });
  t.match(execFileSync("tar", ["-tzf", out], { encoding: "utf8" }), /\/sysdump\.json\n$/);
  const wrong = await world.railnet("sysdump", "--timeout-seconds", "0");
  t.match([wrong.exit, wrong.stderr], [2, /--timeout-seconds/]);
  const nowhere = await world.railnet("sysdump", "-o", "/no/such/folder/x.tar.gz");
  t.match([nowhere.exit, nowhere.stderr], [1, /ENOENT.*\/no\/such\/folder/]);
});

t.test("railnet sysdump --all-nodes without a cluster says what it tried, in the archive", async (t) => {
  plant(
    join(work, "kubeconfig"),
    `apiVersion: v1\nkind: Config\ncurrent-context: a\ncontexts: [{name: a, context: {cluster: a, user: a}}]\nclusters: [{name: a, cluster: {server: "https://127.0.0.1:1"}}]\nusers: [{name: a, user: {token: ${SECRET}}}]\n`,
  );
  const { folder, index, stderr } = await sysdump("--all-nodes", "--timeout-seconds", "1");
  t.match(stderr, /could not read nodes: cannot list the agents/);
  t.ok(
    index.items.every(({ error }: Json) => error),
    "nothing could be read",
  );
  t.equal(filesWith(folder, SECRET), "");
});
