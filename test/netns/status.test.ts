import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { VFIO } from "../../lab/netns/devices.ts";
import { inside } from "../../lab/netns/inside.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

type Json = Record<string, unknown>;
interface Status {
  readonly node: string;
  readonly agent: Json & { answers: boolean; notes?: Json[] };
  readonly rails: readonly (Json & { rail: string; vfs: { pci: string; index: number; state: string }[] })[];
  readonly attachments: readonly Json[];
  readonly problems: readonly string[];
}

const world = await World.create({ vfs: 3 });
t.teardown(() => world.close());
const speed = (mbps: number) => writeFileSync(join(world.sysfs.path("0000:a0:00.0"), "net/rail0/speed"), `${mbps}\n`);

async function status(): Promise<Status & { exit: number | null }> {
  const { exit, stdout, stderr } = await world.railnet("status", "--json");
  if (!stdout) throw new Error(stderr);
  return { exit, ...JSON.parse(stdout) };
}
const text = async () => (await world.railnet("status")).stdout;

/** Links of the host by name, as ip(8) shows them. */
async function links(): Promise<Map<string, Json & { flags: string[] }>> {
  const shown = (await world.host.show("link")) as (Json & { flags: string[] })[];
  return new Map(shown.map((link) => [String(link["ifname"]), link]));
}

t.test(
  "railnet status without an agent shows rails and VFs as ip(8) and sysfs do, and that there is no agent",
  async (t) => {
    await world.noAgent();
    speed(400_000);
    await world.host.ip("link", "set", "rail1", "mtu", "1400");
    const now = await status();
    const shown = await links();
    t.same(
      now.rails.map(({ rail, pf, pci, driver }) => [rail, pf, pci, driver]),
      [
        ["rail0", "rail0", "0000:a0:00.0", "ice"],
        ["rail1", "rail1", "0000:a1:00.0", "ice"],
      ],
    );
    for (const rail of now.rails) {
      const link = shown.get(rail.rail)!;
      t.equal(rail["mtu"], link["mtu"]);
      t.equal(rail["link"] === "up", link.flags.includes("LOWER_UP"));
      const free = rail.vfs.filter(({ state }) => state === "free").map(({ pci }) => pci);
      const inHost = world.vfs
        .filter(({ netdev, rail: of }) => of === rail.rail && shown.has(netdev))
        .map(({ pci }) => pci);
      t.same(free, rail.rail === "rail0" ? [...inHost, VFIO] : inHost);
      t.same(
        rail.vfs.map(({ index }) => index),
        rail.vfs.map((_, i) => i),
      );
    }
    t.same(
      now.rails.map((rail) => rail["speed"]),
      [400_000, null],
    );
    t.same(now.attachments, []);
    t.equal(now.agent.answers, false);
    t.match(now.problems, [/^no agent runs: there is no .*agent\.sock/]);
    t.equal(now.exit, 1);
    t.match(await text(), /^.*: no agent answers/);
    t.match(await text(), /^rail0 +rail0 +0000:a0:00\.0 +up +400G +\d+ .* 4 +0 +4$/m);
    await world.host.ip("link", "set", "rail1", "mtu", "1500");
  },
);

t.test("railnet status with an agent says who has which VF, and that all is well", async (t) => {
  await world.agent();
  const pod = await world.pod("trainer");
  const a = world.attachment(
    pod,
    {},
    { env: { CNI_ARGS: "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns;K8S_POD_NAME=trainer-0" } },
  );
  t.equal((await world.call("shim", "ADD", a)).exit, 0);
  const now = await status();
  t.match(now.agent, { answers: true, version: /^\d+\.\d+\.\d+$/, notReady: "", logLevel: "info" });
  t.same(now.problems, []);
  t.equal(now.exit, 0);
  const { addresses } = await inside(pod);
  t.match(now.attachments, [
    { pod: "ns/trainer-0", ifname: "net1", network: "rail0-net", rail: "rail0", containerId: a.id, state: "attached" },
  ]);
  t.same(now.attachments[0]?.["addresses"], addresses);
  t.equal(now.attachments[0]?.["vf"], world.vfs[0]!.pci);
  t.equal(now.rails[0]!.vfs[0]!.state, "used");
  t.notOk((await links()).has(world.vfs[0]!.netdev), "the link has left the host");
  const shown = await text();
  t.match(shown, /agent \d+\.\d+\.\d+ ready, up \d+[sm], log level info/);
  t.match(shown, /^ns\/trainer-0 +net1 +rail0 +0000:a0:02\.0 +10\.20\.0\.5\/24 +rail0-net +attached$/m);
  t.equal((await world.call("shim", "DEL", a)).exit, 0);
  t.same((await status()).attachments, []);
});

t.test("railnet status names each thing that is wrong, with what to do, and its exit code says so", async (t) => {
  await world.agent();
  const [first, second] = world.vfs.slice(0, 2);
  const pod = await world.pod();
  const a = world.attachment(pod);
  t.equal((await world.call("shim", "ADD", a)).exit, 0);
  const elsewhere = await world.pod("foreign");
  await world.host.ip("link", "set", second!.netdev, "netns", elsewhere.path);
  world.sysfs.removeNetdev(second!.pci, second!.netdev);
  await world.host.batch(["link set rail0 down", "link set rail1p down"]);
  await pod.batch(["link del net1"]);
  const { problems, exit } = await status();
  t.equal(exit, 1);
  t.match(problems, [
    /^PF rail0 is down: ip link set rail0 up$/,
    new RegExp(`^VF ${second!.pci} of PF rail0 is in a network namespace, and not by Railnet`),
    /^PF rail1 has no carrier: check cable and switch$/,
    new RegExp(`^VF ${first!.pci} of container ${a.id} \\(net1\\): the pod lives, but its VF is not`),
  ]);
  t.equal(problems.length, 4);
  t.match(await text(), /^4 problems:\n {2}PF rail0 is down/m);
});

t.test("railnet status shows what the agent ended, and why", async (t) => {
  await world.host.batch(["link set rail0 up", "link set rail1p up"]);
  const pod = await world.pod();
  const a = world.attachment(pod, { deviceID: VFIO });
  t.equal((await world.call("shim", "ADD", a)).exit, 0);
  await world.removePod(pod);
  await until(
    "it is ended",
    async () => (await status()).agent.notes?.some(({ what }) => what === "attachment ended") ?? false,
  );
  const { agent } = await status();
  t.match(agent.notes?.at(-1), {
    what: "attachment ended",
    about: `VF ${VFIO}`,
    message: `${a.id} (net1): its network namespace is gone`,
    at: /^\d{4}-/,
  });
  t.match(await text(), new RegExp(`attachment ended +VF ${VFIO} +${a.id} \\(net1\\): its network namespace is gone`));
});

t.test("railnet status and /metrics call rails as the ConfigMap does, and name those that are not here", async (t) => {
  await world.noAgent();
  const configDir = join(world.dir, "config");
  mkdirSync(configDir);
  writeFileSync(
    join(configDir, "rails"),
    "[{name: fast, pf: {names: [rail1]}}, {name: east, pf: {names: [none]}}, {name: bare, pf: {names: [bare]}}]",
  );
  const alone = JSON.parse((await world.railnet("status", "--json", "--config-dir", configDir)).stdout);
  const agent = await world.startAgent(9811, {}, ["--config-dir", configDir, "--device-plugins", ""]).ready();
  const asked = await status();
  for (const { rails, absent } of [alone, asked]) {
    t.same(rails.map((one: Json) => [one["rail"], one["pf"]]), [["rail0", "rail0"], ["fast", "rail1"], ["bare", "bare"]]); // biome-ignore format: one row
    t.match(absent, [{ rail: "east", why: /^no PF of this node matches/ }]);
  }
  const metrics = await world.host.exec("curl", "-s", `http://127.0.0.1:${agent.port}/metrics`);
  t.match(metrics, /^railnet_vfs\{rail="fast",pf="rail1",state="free"\} 3$/m);
  writeFileSync(join(configDir, "rails"), "fast");
  const broken = await status();
  t.match(broken.problems, [/^cannot read rails: want a list .* \(key rails of the ConfigMap/]);
  t.equal(broken.exit, 1);
  await agent.end("SIGTERM");
});

t.test("railnet status of a node without SR-IOV says so, and survives what it finds", async (t) => {
  await world.noAgent();
  const empty = join(world.dir, "empty");
  mkdirSync(empty);
  t.teardown(() => rmSync(empty, { recursive: true }));
  const env = { RAILNET_SYSFS: empty, RAILNET_STATE_DIR: empty, RAILNET_RUN_DIR: empty };
  const shown = await world.host.exec(
    "env",
    ...Object.entries(env).map(([k, v]) => `${k}=${v}`),
    "sh",
    "-c",
    `${world.executable} status; echo "exit $?"`,
  );
  t.match(shown, /no rails: no PF of this node has VFs\n/);
  t.match(shown, /no pod has a VF\n/);
  t.match(shown, /exit 1/);
});

t.test("railnet status --watch looks again until its reader leaves", async (t) => {
  await world.agent();
  const command = `${world.executable} status --watch --json --seconds 0.1 | head -3`;
  const vars = Object.entries(world.env).map(([k, v]) => `${k}=${v}`);
  const lines = (await world.host.exec("env", ...vars, "sh", "-c", command)).trim().split("\n");
  t.equal(lines.length, 3);
  for (const line of lines) t.ok(JSON.parse(line).rails);
});
