import { existsSync, readdirSync, readlinkSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { Agent } from "../../lab/netns/agent.ts";
import { containerOf } from "../../lab/netns/container.ts";
import { VFIO } from "../../lab/netns/devices.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create({ vfs: 2, agent: (world) => containerOf(world) });
t.teardown(() => world.close());
const pod = await world.pod();

t.test("the agent's container sees neither pods' namespaces nor plugins at their own paths", (t) =>
  unchanged(t, world, "shim", async () => {
    const { pid } = await world.agent();
    const within = (path: string) => existsSync(`/proc/${pid}/root${path}`);
    t.ok(within(world.stateDir), "but the journal");
    t.notOk(within(pod.path));
    t.notOk(within(world.cniBin));
    t.notOk(within("/bin/sh"));
    t.not(readlinkSync(`/proc/${pid}/ns/mnt`), readlinkSync("/proc/self/ns/mnt"));
  }),
);

t.test("railnet agent in its container attaches to a pod of the host, with an address of a plugin of the host", (t) =>
  unchanged(t, world, "shim", async () => {
    const a = world.attachment(pod);
    const { exit, stdout } = await world.call("shim", "ADD", a);
    t.equal(exit, 0, stdout);
    t.match(await inside(pod), { links: ["lo", "net1"], addresses: ["10.20.0.5/24"], up: true });
    t.equal(world.record()["netns"], pod.path, "the record names it as the host does");
    t.match(world.ipam.last("ADD")?.env, new RegExp(`^CNI_NETNS=${pod.path}$`, "m"));
    t.equal((await world.call("shim", "CHECK", withResult(a, stdout))).exit, 0);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
    t.same((await inside(pod)).links, ["lo"]);
  }),
);

t.test("railnet agent in its container follows the host's absolute links to a namespace", (t) =>
  unchanged(t, world, "shim", async () => {
    const link = join(world.dir, "var-run");
    if (!existsSync(link)) symlinkSync(world.podsDir, link);
    const a = world.attachment(pod, {}, { netns: join(link, pod.path.replace(/.*\//, "")) });
    const { exit, stdout } = await world.call("shim", "ADD", a);
    t.equal(exit, 0, stdout);
    t.same((await inside(pod)).links, ["lo", "net1"]);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

t.test("railnet agent in its container leaves attachments of living pods alone when it starts again", (t) =>
  unchanged(t, world, "shim", async () => {
    const a = world.attachment(pod);
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    await world.restartAgent();
    t.match(await inside(pod), { links: ["lo", "net1"], addresses: ["10.20.0.5/24"] });
    t.equal(world.records().length, 1);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

t.test("what the agent in its container attached, the executable of the host detaches, and the other way round", (t) =>
  unchanged(t, world, "shim", async () => {
    const a = world.attachment(pod);
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    t.equal((await world.call("alone", "DEL", a)).exit, 0);
    t.same((await inside(pod)).links, ["lo"]);
    const b = world.attachment(pod);
    t.equal((await world.call("alone", "ADD", b)).exit, 0);
    t.equal((await world.call("shim", "DEL", b)).exit, 0);
    t.same((await inside(pod)).links, ["lo"]);
  }),
);

t.test("railnet agent in its container ends attachments whose namespace vanishes from the host", (t) =>
  unchanged(t, world, "shim", async () => {
    const doomed = await world.pod();
    t.equal((await world.call("shim", "ADD", world.attachment(doomed, { deviceID: VFIO }))).exit, 0);
    await world.removePod(doomed);
    await until("the attachment is ended", () => world.records().length === 0 && world.ipam.calls("DEL").length === 1);
  }),
);

t.test("railnet agent in its container keeps no namespace alive that the host has ended", (t) =>
  unchanged(t, world, "shim", async () => {
    const doomed = await world.pod();
    const inode = doomed.inode;
    const a = world.attachment(doomed);
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
    await world.removePod(doomed);
    const { pid } = await world.agent();
    const open = readdirSync(`/proc/${pid}/fd`).map((fd) => targetOf(`/proc/${pid}/fd/${fd}`));
    t.notOk(open.includes(`net:[${inode}]`));
  }),
);

t.test("railnet agent in its container says which directories of the host lack a plugin", (t) =>
  unchanged(t, world, "shim", async () => {
    const { exit, json } = await world.call("shim", "ADD", world.attachment(pod, { ipam: { type: "missing" } }));
    t.equal(exit, 1);
    t.match(json, { code: 100, msg: `cannot find plugin "missing" in CNI_PATH ${world.cniBin}: install it there` });
  }),
);

t.test("railnet agent that does not see the host's files says what its pod lacks, and touches no attachment", (t) =>
  unchanged(t, world, "shim", async () => {
    const a = world.attachment(pod);
    t.equal((await world.call("shim", "ADD", a)).exit, 0);
    await world.noAgent("leave its socket");
    const blind = Agent.start(world.host, join(world.dir, "agent-in-container"), { ...world.env, BLIND: "1" }, 9808);
    t.match(await blind.done, { exit: 1 });
    t.match(blind.log, "the pod needs hostPID");
    t.match(await inside(pod), { links: ["lo", "net1"], addresses: ["10.20.0.5/24"] });
    await world.agent();
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

/** The same attachment with what ADD gave, as CHECK wants it. */
function withResult<T extends { config: Record<string, unknown> }>(a: T, stdout: string): T {
  return { ...a, config: { ...a.config, prevResult: JSON.parse(stdout) } };
}

function targetOf(link: string): string {
  try {
    return readlinkSync(link);
  } catch {
    return ""; // closed meanwhile
  }
}
