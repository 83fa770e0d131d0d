import { existsSync, fstatSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import t, { type Test } from "tap";
import type { ToldRail } from "../../../cni/attachment/told/rail.ts";
import { DoubleNode } from "../drivers/support/node.ts";
import { PROFILES } from "../drivers/support/profiles.ts";
import { RdmaNode } from "./support/rdma-node.ts";

const { forgetOffered, readOffered, toldDirOf, writeOffered } = await import("../../../cni/attachment/told/offered.ts");
const { Fd } = await import("../drivers/support/syscall-double.ts");
const GID = "0000:0000:0000:0000:0000:ffff:c000:0207";

t.setTimeout(600_000); // on a busy machine

/** A node with mlx5 VFs, each with its RDMA device, in exclusive mode; what a pod's own sysfs shows is in `pod`. */
function worldOf(t: Test, { offered = true } = {}) {
  const node = new DoubleNode(PROFILES.mlx5, { vfs: 4 });
  t.teardown(() => node[Symbol.dispose]());
  const home = node.kernel.host.inode;
  const rdma = new RdmaNode(node.sysfs, true, { home, keyOf: (fd) => fstatSync(fd).ino });
  node.kernel.rdma = rdma;
  const podSysfs = join(node.dir, "pod-sysfs");
  Object.assign(node.host, { openSysfs: () => Fd.open(podSysfs) });
  const port = (device: string, { index = 3, state = "4: ACTIVE", rate = "200 Gb/sec (4X HDR)", gid = GID } = {}) => {
    const put = (path: string, text: string) => {
      const file = join(podSysfs, "class/infiniband", device, "ports/1", path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, `${text}\n`);
    };
    for (let i = 0; i <= index; i++) put(`gids/${i}`, i === index ? gid : "0000:0000:0000:0000:0000:0000:0000:0000");
    put(`gid_attrs/types/${index}`, "RoCE v2");
    put("state", state);
    put("rate", rate);
  };
  mkdirSync(podSysfs);
  for (let i = 0; i < 4; i++) rdma.add(node.vf(i).link.pci, `mlx5_${i}`);
  const pcis = Array.from({ length: 4 }, (_, i) => node.vf(i).link.pci);
  const { runDir } = node.host.paths;
  if (offered)
    writeOffered(runDir, { version: 1, rails: Object.fromEntries(pcis.map((pci, i) => [pci, `blue${i}`])), gpus: { "0000:a0:00.0": ["0000:a3:00.0"] } }); // biome-ignore format: one row
  const dir = (i: number) => toldDirOf(runDir, pcis[i]!);
  const read = (i: number, name: string) => readFileSync(join(dir(i), name), "utf8");
  const rails = (i: number) => JSON.parse(read(i, "rails.json")).rails as Pick<ToldRail, "interface" | "rdma">[];
  const as = (ifname: string) => ({ CNI_IFNAME: ifname });
  return { node, rdma, port, pcis, dir, read, rails, as, runDir, podSysfs };
}

t.test("a pod is told of all its rails in the directory of each of its VFs, until they are gone", async (t) => {
  const { node, port, pcis, dir, read, rails, as, runDir } = worldOf(t);
  port("mlx5_0");
  port("mlx5_1", { index: 5 });
  const pod = node.pod();
  await node.add(pod, { rdma: "required" }, 0);
  t.same(JSON.parse(read(0, "rails.json")), {
    version: 1,
    rails: [
      {
        name: "blue0",
        interface: "net1",
        addresses: ["192.0.2.7/24"],
        gateways: [],
        pci: pcis[0],
        pf: { name: "ens1", pci: "0000:a0:00.0", vf: 0 },
        mac: node.vf(0).link.mac,
        mtu: 1500,
        pcieRoot: "pci0000:a0",
        gpus: ["0000:a3:00.0"],
        rdma: {
          device: "mlx5_0",
          port: 1,
          state: "ACTIVE",
          speedGbps: 200,
          mtu: 1024,
          gidIndex: 3,
          gid: GID,
          gids: [{ address: "192.0.2.7", index: 3, gid: GID }],
        },
      },
    ],
  });
  t.match(read(0, "nccl.conf"), /^NCCL_IB_GID_INDEX=3$/m);
  await node.add(pod, { rdma: "required" }, 1, as("net2"));
  for (const i of [0, 1]) {
    t.same(rails(i).map((one) => one.interface), ["net1", "net2"], `in that of VF ${i}`); // biome-ignore format: one row
    t.match(read(i, "nccl.conf"), /^NCCL_IB_HCA==mlx5_0:1,mlx5_1:1$/m, "in the rails' order, by exact name");
    t.match(read(i, "nccl.conf"), /^# NCCL_IB_GID_INDEX is not set: .* \(blue0 3, blue1 5\)$/m, "not one for all");
    for (const line of read(i, "nccl.conf").split("\n")) if (line.startsWith("#")) t.notMatch(line, "=", "a comment");
    t.match(read(i, "env"), /^UCX_NET_DEVICES=mlx5_0:1,mlx5_1:1$/m);
    t.match(read(i, "env"), /^GLOO_SOCKET_IFNAME=net1,net2$/m);
    t.same(readdirSync(dir(i)).sort(), ["env", "nccl.conf", "rails.json"]);
    t.equal(statSync(join(dir(i), "env")).mode & 0o777, 0o444, "for every user of the container");
  }
  await node.del(pod, {}, 0);
  t.same(readdirSync(dir(0)), [], "gone with the rail");
  t.same(rails(1).map((one) => one.interface), ["net2"], "and the other knows"); // biome-ignore format: one row
  await node.del(pod, {}, 1, as("net2"));
  t.same([readdirSync(dir(1)), readdirSync(join(runDir, "told-pods"))], [[], []], "gone with the pod");
});

t.test("what a pod was told is gone also when it ends without DEL, and after an ADD that fails", async (t) => {
  const { node, port, dir } = worldOf(t);
  port("mlx5_0");
  const pod = node.pod();
  await node.add(pod, {}, 0);
  t.equal(readdirSync(dir(0)).length, 3);
  node.removePod(pod);
  await node.reconcile();
  t.same(readdirSync(dir(0)), [], "the reconciler");
  node.onStep = (step) => {
    if (step === "add-device-info-written") throw new Error("no");
  };
  await t.rejects(node.add(node.pod(), {}, 1));
  t.same(readdirSync(dir(1)), [], "undone");
});

t.test("a VF that the agent does not offer costs nothing, and its pod is told nothing", async (t) => {
  const { node, dir, runDir } = worldOf(t, { offered: false });
  await node.add(node.pod(), {}, 0);
  t.notOk(existsSync(dir(0)));
  t.notOk(existsSync(join(runDir, "told-pods")));
});

t.test("ADD waits until the RDMA device can be used, and says what is missing", async (t) => {
  const { node, port, podSysfs } = worldOf(t);
  const refused = (config: object, msg: RegExp) =>
    t.rejects(node.add(node.pod(), { rdma: "required", ...config }), { code: 104, msg });
  const again = (like: Parameters<typeof port>[1]) => {
    rmSync(join(podSysfs, "class"), { recursive: true, force: true });
    port("mlx5_0", like);
  };
  const beganMs = node.kernel.clock.nowMs();
  await refused({}, /VF 0000:a0:02\.0 is not ready after 1000 ms: mlx5_0 has no port that can be seen/);
  t.ok(node.kernel.clock.nowMs() - beganMs >= 900, "not at once");
  again({ gid: "0000:0000:0000:0000:0000:ffff:0a00:0001" });
  await refused({}, /port 1 of mlx5_0 has no RoCE v2 GID 0000:.*:ffff:c000:0207 of 192\.0\.2\.7; its table has 0000:.*:0a00:0001: is the/); // biome-ignore format: one row
  again({ state: "1: DOWN" });
  await refused({}, /port 1 of mlx5_0 is DOWN, want ACTIVE: check cable/);
  again({ rate: "100 Gb/sec (4X EDR)" });
  await refused({ expect: { speedGbps: 200 } }, /has 100 Gb\/s, want 200: check cable, transceiver/);
  await refused({ expect: { roceMtu: 4096, linkMtu: 9000 } }, /RoCE MTU of mlx5_0 is 1024, want 4096: its link's MTU is 1500;.*the link's MTU is 1500, want 9000/); // biome-ignore format: one row
  t.ok(node.picture().isHome, "all of it is undone");
  const pod = node.pod();
  await node.add(pod, { rdma: "required", rdmaReady: "warn", expect: { speedGbps: 200 } });
  t.match(node.warnings, ["the RDMA device is not ready: the pod gets it as it is"]);
  await node.del(pod, {});
  for (const ready of ["off", { otherwise: "off" }]) {
    const other = node.pod();
    await node.add(other, { rdma: "required", rdmaReady: ready, expect: { speedGbps: 200 } });
    await node.del(other, {});
  }
  t.equal(node.warnings.length, 1);
  const expecting = node.pod();
  await node.add(expecting, { expect: { speedGbps: 200 } });
  t.equal(node.warnings.length, 2, "auto with expect warns");
});

t.test("ADD goes on as soon as the GID is there", async (t) => {
  const { node, port } = worldOf(t);
  const { clock } = node.kernel;
  const beganMs = clock.nowMs();
  const { sleep } = clock;
  let slept = 0;
  Object.assign(clock, {
    sleep: async (ms: number) => {
      if (++slept === 3) port("mlx5_0");
      await sleep.call(clock, ms);
    },
  });
  await node.add(node.pod(), { rdma: "required" });
  t.equal(slept, 3);
  t.ok(clock.nowMs() - beganMs <= 20);
});

t.test("a traffic class is told where all rails declare the same, and outlives a moved GID table", async (t) => {
  const { node, port, read, rails, as, podSysfs } = worldOf(t);
  for (const device of ["mlx5_0", "mlx5_1"]) port(device);
  const pod = node.pod();
  const of = (trafficClass: number) => ({ expect: { trafficClass } });
  await node.add(pod, of(106));
  t.match(read(0, "nccl.conf"), /^NCCL_IB_TC=106$/m);
  t.match(read(0, "env"), /^UCX_IB_TRAFFIC_CLASS=106$/m);
  await node.add(pod, of(96), 1, as("net2"));
  t.match(read(0, "nccl.conf"), /^# NCCL_IB_TC is not set: .* \(blue0 106, blue1 96\)$/m);
  rmSync(join(podSysfs, "class"), { recursive: true });
  for (const device of ["mlx5_0", "mlx5_1"]) port(device, { index: 7 });
  await node.reconcile();
  t.same(rails(1).map(({ rdma }) => [rdma?.gidIndex, rdma?.trafficClass]), [[7, 106], [7, 96]]); // biome-ignore format: one row
  for (const bad of [256, -1, 1.5, "106"]) await t.rejects(node.add(node.pod(), of(bad as number), 2), { code: 7 });
});

t.test("the agent tells a pod whose GID table has moved", async (t) => {
  const { node, port, read, podSysfs } = worldOf(t);
  port("mlx5_0");
  const pod = node.pod();
  await node.add(pod, {});
  t.same(await node.reconcile(), [], "as it was told");
  rmSync(join(podSysfs, "class"), { recursive: true });
  port("mlx5_0", { index: 7 });
  t.match(await node.reconcile(), [{ kind: "retell", reason: "gidMoved", but: "mlx5_0 of blue0: ACTIVE, GID index 7, was 3" }]); // biome-ignore format: one row
  t.match(read(0, "nccl.conf"), /^NCCL_IB_GID_INDEX=7$/m);
  t.same(await node.reconcile(), [], "once");
  await node.del(pod, {});
});

t.test(
  "what is offered is known while something is; what an agent before this one wrote stays until this one offers",
  async (t) => {
    const runDir = t.testdir();
    const offer = (...pcis: string[]) =>
      writeOffered(runDir, { version: 1, rails: Object.fromEntries(pcis.map((pci) => [pci, "blue0"])) });
    const pcis = () => readOffered(runDir) && Object.keys(readOffered(runDir)!.rails);
    writeFileSync(join(runDir, "offered.json"), JSON.stringify({ version: 1, rails: { "0000:a0:02.7": "blue0" } }));
    forgetOffered(join(runDir, "none")); // this process has written nothing yet
    offer();
    t.same(pcis(), ["0000:a0:02.7"], "no rails are known yet");
    offer("0000:a0:02.0");
    t.same(pcis(), ["0000:a0:02.0"]);
    offer();
    t.equal(pcis(), undefined, "nobody is told");
    offer("0000:a0:02.0");
    t.same(pcis(), ["0000:a0:02.0"], "and again");
    forgetOffered(runDir);
    offer("0000:a0:02.0");
    t.same(pcis(), ["0000:a0:02.0"], "also once another plugin has served");
  },
);
