import { rmSync, writeFileSync } from "node:fs";
import t from "tap";
import { peer } from "../../lab/cluster/api-server.ts";
import type { Agent } from "../../lab/netns/agent.ts";
import type { Verb } from "../../lab/netns/call.ts";
import { VFIO } from "../../lab/netns/devices.ts";
import { start } from "../../lab/netns/run.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";
import { readExposition, type Scrape } from "../daemonset/support/exposition.ts";

type Json = Record<string, unknown>;
const world = await World.create({ vfs: 2 });
t.teardown(() => world.close());

const body = (agent: Agent, path: string) => world.host.exec("curl", "-s", `http://127.0.0.1:${agent.port}${path}`);
const scrape = async (agent: Agent): Promise<Scrape> => readExposition(await body(agent, "/metrics"));
const lines = (agent: Agent): Json[] =>
  agent.log
    .split("\n")
    .filter((line) => line.startsWith("{") && line.endsWith("}"))
    .map((line) => JSON.parse(line));

/** The series of one metric that has a value, by its labels. */
const series = (all: Scrape, name: string): Json =>
  Object.fromEntries(
    [...all].filter(([key]) => key.startsWith(`${name}{`)).map(([key, value]) => [key.slice(name.length), value]),
  );

/** Links of the host, as ip(8) lists them. */
const hostLinks = async () => (await world.host.show("link")).map(({ ifname }) => String(ifname));

t.test("railnet agent counts every call by plugin, verb and code, and knows which VFs are free", async (t) => {
  await world.noAgent();
  const agent = await world.agent();
  const pods = [await world.pod(), await world.pod()];
  const [a, b] = [world.attachment(pods[0]!), world.attachment(pods[1]!, { deviceID: world.vfs[2]!.pci })];
  const taken = world.attachment(pods[1]!, {}, { ifname: "net2" });
  const tally: Record<string, number> = {};
  const call = async (verb: Verb, attachment: typeof a) => {
    const { exit, json } = await world.call("shim", verb, attachment);
    const key = `${verb} ${exit === 0 ? 0 : json?.["code"]}`;
    tally[key] = (tally[key] ?? 0) + 1;
  };
  for (const one of [a, b, taken, taken]) await call("ADD", one);
  for (const verb of ["CHECK", "STATUS", "VERSION"] as const) await call(verb, a);
  await call("DEL", taken);
  t.match(tally, { "ADD 0": 2, "ADD 102": 2, "DEL 0": 1 }, "it is what it should be");
  const all = await scrape(agent);
  const counted = Object.entries(series(all, "railnet_cni_requests_total")).map(([labels, value]) => {
    const of = (label: string) => new RegExp(`${label}="([^"]*)"`).exec(labels)?.[1];
    t.equal(of("plugin"), "railnet-sriov");
    t.equal(of("reason"), { "0": "ok", "102": "in_use" }[of("code")!] ?? of("reason"));
    return [`${of("verb")} ${of("code")}`, value];
  });
  t.same(Object.fromEntries(counted), tally);
  const adds = all.get('railnet_cni_request_duration_seconds_count{plugin="railnet-sriov",verb="ADD"}');
  t.equal(adds, 4);
  const within = all.get('railnet_cni_request_duration_seconds_bucket{le="60",plugin="railnet-sriov",verb="ADD"}');
  t.equal(within, 4, "in seconds");
  const links = await hostLinks();
  for (const rail of ["rail0", "rail1"]) {
    const vfs = (state: string) => all.get(`railnet_vfs{pf="${rail}",rail="${rail}",state="${state}"}`);
    const own = world.vfs.filter((vf) => vf.rail === rail);
    t.equal(vfs("free"), own.filter(({ netdev }) => links.includes(netdev)).length + (rail === "rail0" ? 1 : 0));
    t.equal(vfs("used"), own.filter(({ netdev }) => !links.includes(netdev)).length);
    t.equal(vfs("other"), 0);
  }
  t.equal(all.get("railnet_attachments"), world.records().length);
  for (const one of [a, b]) await call("DEL", one);
  t.equal((await scrape(agent)).get("railnet_attachments"), 0);
});

t.test("railnet agent's metrics are as Prometheus' own parser and linter want them", async (t) => {
  const text = await body(await world.agent(), "/metrics");
  const { exit, stdout } = await start(peer("promlint"), [], { stdin: text });
  t.same({ exit, stdout }, { exit: 0, stdout: "" });
  const bad = await start(peer("promlint"), [], { stdin: `${text}railnet_vfs 1 2 3\n` });
  t.equal(bad.exit, 1, "and it would say so");
});

t.test("railnet agent counts what its reconciler ends", async (t) => {
  const agent = await world.agent();
  const pod = await world.pod();
  t.equal((await world.call("shim", "ADD", world.attachment(pod, { deviceID: VFIO }))).exit, 0);
  await world.removePod(pod); // a veth would go with its namespace; the VF of vfio-pci stays
  const key = 'railnet_reconciler_repairs_total{reason="orphaned",result="ended"}';
  await until("it is ended", async () => (await scrape(agent)).get(key) === 1);
  t.equal(world.records().length, 0);
});

t.test(
  "railnet agent writes one line for each ADD and DEL: pod, rail, step, ms and code, and no configuration",
  async (t) => {
    const agent = await world.agent();
    const pod = await world.pod();
    const a = world.attachment(
      pod,
      { token: "s3cret" },
      { env: { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=p" } },
    );
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    t.equal((await world.call("shim", "STATUS", a)).exit, 0, "which is only at debug");
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
    world.faults("add-moved fail");
    t.equal((await world.call("shim", "ADD", a)).exit, 1);
    world.faults();
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
    const own = () => lines(agent).filter(({ containerID, plugin }) => containerID === a.id && plugin);
    await until("the last line is there", () => own().length >= 4);
    const who = { pod: "ns/p", ifname: "net1", network: "rail0-net", rail: "rail0", pci: world.vfs[0]!.pci };
    t.match(own(), [
      { level: "info", msg: "done", verb: "ADD", step: "add-committed", code: 0, ...who },
      { level: "info", msg: "done", verb: "DEL", step: "del-forgotten", code: 0, ...who },
      { level: "warn", msg: "failed", verb: "ADD", code: 100, reason: "refused", error: /injected fault/, ...who },
      { level: "info", msg: "done", verb: "DEL", code: 0 },
    ]);
    t.equal(own().length, 4, "and no more");
    for (const line of own()) t.type(line["ms"], "number");
    t.notMatch(agent.log, /s3cret/);
  },
);

t.test("railnet log-level changes what the agent logs, and so does the file of the ConfigMap", async (t) => {
  const agent = await world.agent();
  const steps = () => lines(agent).filter(({ msg }) => msg === "step").length;
  const addAndDel = async () => {
    const a = world.attachment(await world.spare(), { ipam: { type: "railnet-ipam", range: "10.30.0.0/24" } });
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  };
  await addAndDel();
  t.equal(steps(), 0);
  const level = async (...args: string[]) => (await world.railnet("log-level", ...args)).stdout.trim();
  t.equal(await level(), "info");
  t.equal(await level("debug"), "debug");
  await addAndDel();
  await until("the steps are there", () => steps() >= 12);
  t.match(
    lines(agent).find(({ msg }) => msg === "step"),
    { level: "debug", step: /^add-/, containerID: /^c\d+$/, ifname: "net1" },
  );
  const done = lines(agent).map(({ step }) => step);
  for (const step of ["add-moved", "ipam-add-held", "del-link-returned", "ipam-del-journalled"])
    t.ok(done.includes(step), step);
  const part = lines(agent).filter(({ plugin, level }) => plugin === "railnet-ipam" && level === "debug");
  t.match(part, [
    { verb: "ADD", msg: "done", code: 0 },
    { verb: "DEL", msg: "done", code: 0 },
  ]); // the parts have their lines
  t.equal(await level("info"), "info");
  const wrong = await world.railnet("log-level", "loud");
  t.not(wrong.exit, 0);
  t.match(wrong.stderr, /debug/, "it says what there is");
  t.equal(await level(), "info");

  const configDir = `${world.dir}/config`;
  const file = `${configDir}/logLevel`;
  await world.host.exec("mkdir", "-p", configDir);
  t.teardown(() => rmSync(configDir, { recursive: true }));
  await world.noAgent();
  writeFileSync(file, "warn\n");
  const other = world.startAgent(9809, {}, ["--config-dir", configDir]);
  await until("it serves", async () => (await other.get("/readyz")) === "200");
  await until("it has read the file", async () => (await level()) === "warn");
  writeFileSync(file, "debug");
  await until("it has read it again", async () => (await level()) === "debug");
  await other.end("SIGTERM");
});

t.test("railnet log-level without an agent says that there is none", async (t) => {
  await world.noAgent();
  const { exit, stderr } = await world.railnet("log-level");
  t.equal(exit, 1);
  t.match(stderr, /^railnet: no agent runs: there is no .*agent\.sock/);
});

t.test("railnet agent says in /readyz why it does not serve", async (t) => {
  const first = await world.agent();
  t.equal((await body(first, "/readyz")).trim(), "ok");
  const second = world.startAgent(9809);
  await until("it answers probes", async () => (await second.get("/healthz")) === "200");
  t.equal(await second.get("/readyz"), "503");
  t.equal((await body(second, "/readyz")).trim(), "another agent of this node has not ended yet");
  await first.end("SIGTERM");
  await until("it serves", async () => (await second.get("/readyz")) === "200");
  await second.end("SIGTERM");
  await world.noAgent();
});
