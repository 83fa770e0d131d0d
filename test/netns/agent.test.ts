import { connect } from "node:net";
import { join } from "node:path";
import t from "tap";
import { VFIO } from "../../lab/netns/devices.ts";
import { holdIpam } from "../../lab/netns/hold-ipam.ts";
import { inside } from "../../lab/netns/inside.ts";
import { must, pause } from "../../lab/netns/run.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";

const world = await World.create({ vfs: 4 });
t.teardown(() => world.close());
const pod = await world.pod();
const version = world.attachment(pod, {}, { id: "" });
const isPending = async (work: Promise<unknown>): Promise<boolean> =>
  (await Promise.race([work.then(() => "done"), pause(0)])) !== "done";

t.test("railnet agent answers /healthz and /readyz", (t) =>
  unchanged(t, world, "shim", async () => {
    const agent = await world.agent();
    t.same([await agent.get("/healthz"), await agent.get("/readyz"), await agent.get("/")], ["200", "200", "404"]);
  }),
);

t.test("railnet agent goes before other processes with all its threads", (t) =>
  unchanged(t, world, "shim", async () => {
    const { pid } = await world.agent();
    const threads = (await must("ps", ["-T", "-o", "ni=", "-p", String(pid)])).trim().split(/\s+/);
    t.ok(threads.length > 1);
    t.same(new Set(threads), new Set(["-10"]));
  }),
);

t.test("railnet agent undoes an ADD whose caller is killed while IPAM thinks, and the DEL that follows succeeds", (t) =>
  unchanged(t, world, "shim", async () => {
    const ipam = holdIpam(world);
    const a = world.attachment(pod);
    const adding = world.call("shim", "ADD", a);
    await ipam.begun();
    adding.kill("SIGKILL");
    t.equal((await adding).signal, "SIGKILL");
    await until("the ADD is undone", () => world.records().length === 0 && world.locks().length === 0);
    t.same((await inside(pod)).links, ["lo"]);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

t.test("railnet agent undoes an ADD whose caller is killed while the kernel works", (t) =>
  unchanged(t, world, "shim", async () => {
    world.faults("add-moved hang 300");
    const a = world.attachment(pod);
    const adding = world.call("shim", "ADD", a);
    await until("the VF has moved", async () => (await inside(pod)).links.includes("net1"));
    adding.kill("SIGKILL");
    await adding;
    await until("the ADD is undone", () => world.records().length === 0 && world.locks().length === 0);
    t.same((await inside(pod)).links, ["lo"]);
    await until("its address is released", () => world.ipam.calls("DEL").length > 0);
  }),
);

t.test("railnet agent answers VERSION, /healthz and an ADD's caller's end while a kernel call is stuck", (t) =>
  unchanged(t, world, "shim", async () => {
    const agent = await world.agent();
    world.faults("add-moved hold");
    const a = world.attachment(pod);
    const adding = world.call("shim", "ADD", a);
    await until("the kernel thread hangs", async () => (await inside(pod)).links.includes("net1"));
    for (let i = 0; i < 3; i++) {
      t.match(await world.call("shim", "VERSION", version), { exit: 0, json: { cniVersion: "1.1.0" } });
      t.same([await agent.get("/healthz"), await agent.get("/readyz")], ["200", "200"]);
    }
    t.ok(await isPending(adding), "all of it before the stuck call returned");
    world.faults();
    t.equal((await adding).exit, 0);
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

t.test("railnet agent attaches on one rail while the kernel is stuck on another, and reconciles there", (t) =>
  unchanged(t, world, "shim", async () => {
    const [a, b] = [world.attachment(pod), world.attachment(pod, { deviceID: world.vfs[4]!.pci }, { ifname: "net2" })];
    const agent = await world.agent();
    world.faults("add-moved hang 20000");
    const stuck = world.call("shim", "ADD", a);
    await until("one kernel thread hangs", async () => (await inside(pod)).links.includes("net1"));
    world.faults();
    t.equal((await world.call("shim", "ADD", b)).exit, 0);
    t.equal((await world.call("shim", "DEL", b)).exit, 0);
    t.equal(await agent.get("/readyz"), "200");
    t.ok(await isPending(stuck), "all of it before the stuck call returned");
    await world.noAgent("leave its socket"); // kill -9: the hang would take 20 s
    await stuck;
    await world.agent();
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

t.test("railnet agent that is told to stop answers what is in flight; its successor waits, then serves", (t) =>
  unchanged(t, world, "shim", async () => {
    const first = await world.agent();
    const ipam = holdIpam(world);
    const a = world.attachment(pod);
    const adding = world.call("shim", "ADD", a);
    await ipam.begun();
    const second = world.startAgent(); // at the same health address: both are in the host's network
    await until("the second waits", () => second.log.includes("another agent runs on this node"));
    t.equal(await first.get("/readyz"), "200", "the first one's answer");
    first.signal("SIGTERM");
    await until("the first stops", () => first.log.includes("agent stops"));
    const late = world.attachment(pod, { deviceID: world.vfs[1]!.pci, ipam: {} }, { ifname: "net2" });
    const addingLate = world.call("shim", "ADD", late); // its connection is refused until the second listens
    await pause(100);
    t.notOk(second.saysReady(), "not before the first has ended");
    ipam.release();
    t.equal((await adding).exit, 0, "the ADD in flight is answered");
    t.match(await first.done, { exit: 0, signal: null });
    await second.ready();
    t.equal((await addingLate).exit, 0, "the ADD in between too");
    await until("the second agent says that it did that", () => second.log.includes(`"containerID":"${late.id}"`));
    await until("the second answers probes", async () => (await second.get("/readyz")) === "200");
    for (const each of [a, late]) t.equal((await world.call("shim", "DEL", each)).exit, 0);
    t.match(await second.end(), { exit: 0 });
    await world.noAgent();
  }),
);

t.test("railnet agent stops also while somebody is connected who says nothing", (t) =>
  unchanged(t, world, "shim", async () => {
    const agent = await world.agent();
    const idle = connect(join(world.runDir, "agent.sock"));
    await new Promise((done) => idle.once("connect", done));
    idle.write("\x01");
    await pause(50);
    const ended = agent.end("SIGTERM");
    await Promise.race([ended, pause(60_000)]);
    t.ok(agent.ended, "nobody waits for who says nothing");
    idle.destroy();
    await world.noAgent();
  }),
);

t.test("railnet agent closes connections that send rubbish, and serves on", (t) =>
  unchanged(t, world, "shim", async () => {
    const agent = await world.agent();
    const before = agent.descriptors();
    const rubbish = [
      Buffer.alloc(64, 0xff),
      Buffer.from("GET / HTTP/1.1\r\n\r\n"),
      Buffer.from([1, 255, 255, 255, 127, 0, 0, 0, 0]),
    ];
    for (let i = 0; i < 60; i++) {
      const socket = connect(join(world.runDir, "agent.sock"));
      socket.on("error", () => {});
      socket.write(rubbish[i % rubbish.length]!);
      await new Promise((done) => socket.once("close", done).resume());
    }
    t.match(await world.call("shim", "VERSION", version), { exit: 0 });
    await until("its descriptors are closed", () => agent.descriptors() <= before);
  }),
);

t.test("railnet-sriov waits for an agent that restarts, rather than work beside it", (t) =>
  unchanged(t, world, "shim", async () => {
    await world.noAgent("leave its socket");
    const a = world.attachment(pod);
    const adding = world.call("shim", "ADD", a);
    await pause(200);
    const agent = await world.agent();
    t.equal((await adding).exit, 0);
    await until("the agent says that it did it", () => agent.log.includes(`"containerID":"${a.id}"`));
    t.equal((await world.call("shim", "DEL", a)).exit, 0);
  }),
);

t.test("railnet agent ends attachments whose namespace vanishes, without a DEL", (t) =>
  unchanged(t, world, "shim", async () => {
    await world.agent();
    const doomed = await world.pod();
    // A veth would go with its namespace; the VF of vfio-pci stays.
    t.equal((await world.call("shim", "ADD", world.attachment(doomed, { deviceID: VFIO }))).exit, 0);
    const lives = world.attachment(pod);
    t.equal((await world.call("shim", "ADD", lives)).exit, 0);
    await world.removePod(doomed);
    await until("the attachment is ended", () => world.records().length === 1 && world.ipam.calls("DEL").length === 1);
    t.same((await inside(pod)).addresses, ["10.20.0.5/24"], "the other one is left alone");
    t.equal((await world.call("shim", "DEL", lives)).exit, 0);
  }),
);
