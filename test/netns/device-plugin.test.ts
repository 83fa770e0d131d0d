import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t from "tap";
import { writeNetworks } from "../../daemonset/rail-network/file.ts";
import type { FollowedNetwork } from "../../daemonset/rail-network/listed.ts";
import type { Agent } from "../../lab/netns/agent.ts";
import { WAYS } from "../../lab/netns/call.ts";
import { BARE, VFIO } from "../../lab/netns/devices.ts";
import { World } from "../../lab/netns/world.ts";
import { until } from "../../lab/until.ts";
import { FakeKubelet } from "../daemonset/device-plugin/support/kubelet.ts";

const RAIL0 = "railnet.io/rail0";
const RAIL1 = "railnet.io/rail1";
const world = await World.create({ vfs: 3 });
t.teardown(() => world.close());
const pod = await world.pod();
const kubeletDir = mkdtempSync(join(tmpdir(), "kubelet-"));
t.teardown(() => rmSync(kubeletDir, { recursive: true }));
const configDir = join(world.dir, "config");
mkdirSync(configDir);
writeFileSync(
  join(configDir, "rails"),
  "- { name: rail0, pf: { names: [rail0] } }\n- { name: rail1, pf: { pciAddresses: ['0000:a1:00.0'] } }\n- { name: rail9, pf: { names: [rail9] } }\n",
);
for (const rail of ["rail0", "rail1"]) world.sysfs.setCarrier(rail, true);
const kubelet = await new FakeKubelet(kubeletDir).start();
t.teardown(() => kubelet.stop());

const ARGS = ["--config-dir", configDir, "--device-plugins", kubeletDir, "--carrier-grace-seconds", "0"];
let agent: Agent;
const start = async () => {
  agent = world.startAgent(9808, {}, ARGS);
  await agent.ready();
};
const vfs = world.vfs.filter(({ rail }) => rail === "rail1").map(({ pci }) => pci);
const listed = (count = vfs.length) =>
  until(`${count} VFs of rail1 are listed`, () => kubelet.by("Healthy", RAIL1).length === count);
await start();
t.teardown(() => agent.end("SIGKILL"));

t.test("railnet agent offers the VFs of every rail of this node to the kubelet", async (t) => {
  await listed();
  await until("rail0 is listed, too", () => kubelet.devices(RAIL0).length === 4);
  t.same(kubelet.resources, [RAIL0, RAIL1]);
  t.same(
    kubelet.devices(RAIL1),
    vfs.map((ID) => ({ ID, health: "Healthy", topology: null })),
  );
  t.same(readdirSync(kubeletDir), ["kubelet.sock", "railnet-rail0.sock", "railnet-rail1.sock"]);
});

t.test("railnet agent allocates, and says so to Multus", async (t) => {
  const { container_responses } = await kubelet.call(RAIL1, "Allocate", {
    container_requests: [{ devices_ids: [vfs[0]] }],
  });
  t.same(container_responses[0].envs, {
    PCIDEVICE_RAILNET_IO_RAIL1: vfs[0],
    PCIDEVICE_RAILNET_IO_RAIL1_INFO: `{"${vfs[0]}":{"generic":{"deviceID":"${vfs[0]}"}}}`,
  });
  const info = JSON.parse(readFileSync(join(world.dir, "dp", `railnet.io-rail1-${vfs[0]}-device.json`), "utf8"));
  t.same(info, { type: "pci", version: "1.1.0", pci: { "pci-address": vfs[0], "pf-pci-address": "0000:a1:00.0" } });
  await t.rejects(kubelet.call(RAIL1, "Allocate", { container_requests: [{ devices_ids: ["0000:a0:02.0"] }] }), {
    code: 5,
    details: "cannot allocate 0000:a0:02.0: it is not a VF of rail rail1",
  });
});

t.test("railnet agent does not offer a VF that the host uses, until it does not any more", async (t) => {
  const { netdev, pci } = world.vfs.find((vf) => vf.pci === vfs[1])!;
  await world.host.ip("address", "add", "10.99.0.1/24", "dev", netdev);
  await until("it is unhealthy", () => kubelet.by("Unhealthy", RAIL1).join() === pci);
  t.match(agent.log, new RegExp(`the host uses its link ${netdev}: it has address 10.99.0.1/24 of the host`));
  await world.host.ip("address", "del", "10.99.0.1/24", "dev", netdev);
  await until("it is healthy", () => kubelet.by("Healthy", RAIL1).length === vfs.length);
});

t.test("a VF in a pod stays in the list, and is preferred last, whatever restarts", async (t) => {
  const [first, second] = vfs as [string, string];
  const attachment = world.attachment(pod, { deviceID: first });
  t.equal((await world.call("shim", "ADD", attachment)).exit, 0);
  const ask = { available_deviceIDs: [first, second], must_include_deviceIDs: [], allocation_size: 1 };
  const prefers = async (vf: string) => {
    const { container_responses } = await kubelet.call(RAIL1, "GetPreferredAllocation", { container_requests: [ask] });
    return container_responses[0].deviceIDs[0] === vf;
  };
  await until("the agent has seen the attachment", () => prefers(second));
  const before = kubelet.devices(RAIL1);
  for (const restart of [
    () => kubelet.restart(),
    async () => {
      await agent.end("SIGKILL");
      await start();
    },
    async () => {
      t.same(await agent.end("SIGTERM"), { exit: 0, signal: null });
      t.same(readdirSync(kubeletDir), ["kubelet.sock"], "one that is told to end takes its sockets along");
      await start();
    },
  ]) {
    await restart();
    await listed();
    t.same(kubelet.devices(RAIL1), before);
    t.ok(await prefers(second), "the other one is preferred");
  }
  t.equal((await world.call("shim", "DEL", attachment)).exit, 0);
});

t.test("VFs are unhealthy while their PF has no carrier", async (t) => {
  world.sysfs.setCarrier("rail1", false);
  await until("all of rail1 are unhealthy", () => kubelet.by("Unhealthy", RAIL1).length === 3);
  t.same(kubelet.by("Unhealthy", RAIL0), [VFIO], "and of rail0 only the one whose devices no pod is given");
  world.sysfs.setCarrier("rail1", true);
  await listed();
});

t.test("a kubelet that does not read gets the latest list when it does", async () => {
  kubelet.deaf = true;
  for (const on of [false, true, false]) {
    const seen = agent.log.length;
    world.sysfs.setCarrier("rail1", on);
    await until("the agent has seen it", () => agent.log.slice(seen).includes(on ? "are healthy" : "are unhealthy"));
  }
  kubelet.listen(RAIL1);
  await until("the last list has come", () => kubelet.by("Unhealthy", RAIL1).length === 3);
  world.sysfs.setCarrier("rail1", true);
  await listed();
});

t.test("a kubelet that lost the agent without a restart is told again", async () => {
  const before = kubelet.registrations.length;
  kubelet.hangUp(RAIL1);
  await until("it is registered once more", () => kubelet.registrations.length > before);
  await listed();
});

t.test("whatever comes to its sockets, the agent goes on", async (t) => {
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", "\0".repeat(100_000), ""]) {
    const peer = connect(join(kubeletDir, "railnet-rail0.sock"));
    peer.on("error", () => {});
    await new Promise((resolve) => peer.write(bytes, resolve));
    peer.destroy();
  }
  t.same(await kubelet.call(RAIL0, "PreStartContainer", { devices_ids: [] }), {});
  t.equal(agent.ended, false);
});

t.test("a second agent waits, and then takes the place of the first", async (t) => {
  const second = world.startAgent(9809, {}, ARGS);
  await until("it waits", () => second.log.includes("another agent runs"));
  const before = kubelet.devices(RAIL1);
  await agent.end("SIGTERM");
  agent = await second.ready();
  await listed();
  t.same(kubelet.devices(RAIL1), before);
});

t.test("VFs are neither made nor allocated while another process moves an RDMA device", async (t) => {
  const rails = readFileSync(join(configDir, "rails"), "utf8");
  const numVfs = () => readFileSync(join(world.sysfs.path(BARE.pci), "sriov_numvfs"), "utf8").trim();
  mkdirSync(join(world.sysfs.path(vfs[0]!), "infiniband_verbs/uverbs7"), { recursive: true });
  const file = join(world.runDir, "locks/rdma");
  const holder = spawn("flock", [file, "sh", "-c", "echo held; cat"], { stdio: ["pipe", "pipe", "inherit"] });
  t.teardown(() => holder.kill("SIGKILL"));
  await once(holder.stdout, "data");
  writeFileSync(join(configDir, "rails"), `${rails}- { name: bare, vfs: 2, pf: { names: [${BARE.netdev}] } }\n`);
  const begunMs = performance.now();
  const request = { container_requests: [{ devices_ids: [vfs[0]] }] };
  const { container_responses } = await kubelet.call(RAIL1, "Allocate", request);
  t.ok(performance.now() - begunMs >= 4_900, "it has waited, and leaves what comes of that to ADD");
  t.equal(container_responses[0].devices[0].host_path, "/dev/infiniband/uverbs7");
  await until("the agent has seen the new rail", () =>
    /rail is on this node.*"bare"|"bare".*rail is on this node/.test(agent.log),
  );
  t.equal(numVfs(), "0");
  holder.stdin.end();
  await until("the VFs are made", () => numVfs() === "2");
  writeFileSync(join(configDir, "rails"), rails);
});

t.test("of a rail that a RailNetwork gives to pods a tenant gets the VF that the kubelet gave his pod", async (t) => {
  const [, given, free] = vfs as [string, string, string];
  const pods = { namespaces: { matchLabels: { rails: "allowed" } } };
  const networks: FollowedNetwork[] = [{ name: "ishikari", rails: [{ name: "rail1", pf: { names: ["rail1"] } }], pods, namespaces: ["team-a"] }];
  writeNetworks(join(world.stateDir, "rail-networks.json"), networks);
  const governed = join(world.stateDir, "governed-rails.json");
  await until("the agent has found its VFs", () => existsSync(governed));
  const PodDeviceEntries = [{ PodUID: "u1", ResourceName: "railnet.io/rail1", ContainerName: "main", DeviceIDs: { "0": [given] } }];
  writeFileSync(join(kubeletDir, "kubelet_internal_checkpoint"), JSON.stringify({ Data: { PodDeviceEntries }, Checksum: 1 }));
  const tenant = (config: object, uid = "u1", namespace = "team-a") =>
    world.attachment(pod, { ipam: undefined, network: "ishikari", rail: "rail1", ...config }, { env: { CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=${namespace};K8S_POD_NAME=p;K8S_POD_UID=${uid}` } });
  const rows: [what: string, attachment: ReturnType<typeof tenant>, code: number, says: RegExp][] = [
    ["a network of his own", tenant({ network: undefined, rail: undefined, trust: "on", deviceID: free }), 7, /gives it to pods, through networks that refer to it/],
    ["a device that nobody gave him", tenant({ deviceID: free }), 101, /the kubelet did not give it to this pod/],
    ["another pod's device", tenant({ deviceID: given }, "u2"), 101, /the kubelet did not give it to this pod/],
    ["another namespace", tenant({ deviceID: given }, "u1", "team-b"), 7, /pods of namespace team-b may not use it/],
    ["trust", tenant({ deviceID: given, trust: "on" }), 7, /RailNetwork ishikari sets this/],
    ["what is his", tenant({ deviceID: given }), 101, /cannot set .*spoofchk.*mac of .*PF rail1 shows no VF|its PF/],
  ];
  for (const via of WAYS)
    for (const [what, attachment, code, says] of rows) {
      const { json } = await world.call(via, "ADD", attachment);
      t.match(json, { code, msg: says }, `${via}: ${what}`);
    }
  rmSync(join(world.stateDir, "rail-networks.json"));
  rmSync(join(kubeletDir, "kubelet_internal_checkpoint"));
  await until("nothing is governed any more", () => !existsSync(governed));
}); // biome-ignore format: rows

t.test("the list of rails is followed", async (t) => {
  writeFileSync(join(configDir, "rails"), "- { name: rail1, resource: example.com/fast, pf: { names: [rail1] } }\n");
  await until("the new resource is listed", () => kubelet.devices("example.com/fast").length === 3);
  t.same(kubelet.resources, ["example.com/fast"]);
});

t.test("without --device-plugins another one has the kubelet for itself", async (t) => {
  await agent.end("SIGTERM");
  agent = world.startAgent(9808, {}, ["--config-dir", configDir, "--device-plugins", ""]);
  await agent.ready();
  await until("the rails are known", () => agent.log.includes("rail is on this node"));
  t.same(readdirSync(kubeletDir), ["kubelet.sock"]);
  t.equal(existsSync(join(kubeletDir, "railnet-rail1.sock")), false);
});
