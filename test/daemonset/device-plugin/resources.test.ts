import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import t, { type Test } from "tap";
import { Resources } from "../../../daemonset/device-plugin/resources.ts";
import { parseRails } from "../../../daemonset/rails/config.ts";
import { listPfFacts, selectPfs } from "../../../daemonset/rails/select.ts";
import { KeptLog } from "../support/log.ts";
import { PfTree } from "../support/pf-tree.ts";
import { FakeKubelet, until } from "./support/kubelet.ts";

const PF = "0000:a0:00.0";
const RAIL0 = "railnet.io/rail0";
const RAIL1 = "example.com/fast";

/** A node of two rails with three VFs each, and a kubelet. */
class Node {
  readonly dir: string;
  readonly infoDir: string;
  readonly tree: PfTree;
  readonly log = new KeptLog();
  readonly kubelet: FakeKubelet;
  readonly attached = new Set<string>();
  resources: Resources;
  nowMs = 1_000_000;
  rails = `
- { name: rail0, pf: { names: [ens1] }, rdma: exclusive }
- { name: rail1, pf: { names: [ens2] }, resource: ${RAIL1} }`;

  private constructor(t: Test) {
    const root = mkdtempSync(join(tmpdir(), "plugin-")); // a socket's path is at most 107 bytes long
    t.teardown(() => rmSync(root, { recursive: true }));
    this.dir = join(root, "p");
    this.infoDir = join(root, "devinfo/dp");
    mkdirSync(this.dir);
    this.tree = new PfTree(join(root, "sys"));
    this.tree.addPf({ pci: PF, netdev: "ens1", numaNode: 0 });
    this.tree.addPf({ pci: "0000:b0:00.0", netdev: "ens2", numaNode: 1 });
    for (const pf of [PF, "0000:b0:00.0"]) this.tree.writeNumVfs(pf, 3);
    this.kubelet = new FakeKubelet(this.dir);
    this.resources = this.#start();
  }

  static async start(t: Test): Promise<Node> {
    const node = new Node(t);
    t.teardown(async () => {
      await node.resources.close();
      node.kubelet.stop();
    });
    await node.kubelet.start();
    return node;
  }

  /** Another agent, as after a kill: the sockets of the first are still there. */
  async replaceAgent(how: "killed" | "stopped"): Promise<void> {
    const old = this.resources;
    const sockets = readdirSync(this.dir).filter((name) => name.startsWith("railnet-"));
    await old.close();
    if (how === "killed") for (const name of sockets) leaveSocket(join(this.dir, name));
    this.resources = this.#start();
  }

  /** One look of the agent. */
  async look(): Promise<void> {
    const { here } = selectPfs(parseRails(this.rails), listPfFacts(this.tree.root));
    await this.resources.look(here, this.attached);
    await this.resources.register();
  }

  /** Looks, then waits until the kubelet has heard what it should. */
  async lookUntil(what: string, holds: () => boolean): Promise<void> {
    await this.look();
    await until(what, holds);
  }

  get vfs(): readonly string[] {
    return this.tree.vfs(PF);
  }

  info(vf: string): object {
    return JSON.parse(readFileSync(join(this.infoDir, `railnet.io-rail0-${vf}-device.json`), "utf8"));
  }

  #start(): Resources {
    return new Resources({
      directory: this.dir,
      deviceInfoDir: this.infoDir,
      sysfs: this.tree.root,
      graceMs: 30_000,
      nowMs: () => this.nowMs,
      log: this.log,
    });
  }
}

/** What a killed process leaves: a socket that nobody listens on. */
function leaveSocket(path: string): void {
  const script = `require("node:net").createServer().listen(${JSON.stringify(path)}, () => process.kill(process.pid, "SIGKILL"))`;
  spawnSync(process.execPath, ["-e", script]);
}

t.test("every rail is a resource with its VFs, their memory nodes and healthy", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil(
    "both rails are listed",
    () => node.kubelet.resources.length === 2 && node.kubelet.devices(RAIL1).length === 3,
  );
  t.same(node.kubelet.resources, [RAIL1, RAIL0]);
  t.same(
    node.kubelet.devices(RAIL1),
    ["0000:b0:02.0", "0000:b0:02.1", "0000:b0:02.2"].map((ID) => ({
      ID,
      health: "Healthy",
      topology: { nodes: [{ ID: 1 }] },
    })),
  );
  t.same(
    node.kubelet.registrations.find((r) => r.resource_name === RAIL0),
    {
      version: "v1beta1",
      endpoint: "railnet-rail0.sock",
      resource_name: RAIL0,
      options: { pre_start_required: false, get_preferred_allocation_available: true },
    },
  );
  t.same(node.log.take(), ["info registered with the kubelet", "info registered with the kubelet"]);
  await node.look();
  t.equal(node.kubelet.registrations.length, 2, "once is enough");
  t.equal(statSync(join(node.dir, "railnet-rail0.sock")).mode & 0o777, 0o600, "root's alone");
});

t.test("a rail is registered when its first VF is there, and follows how many there are", async (t) => {
  const node = await Node.start(t);
  node.tree.writeNumVfs(PF, 0);
  await node.lookUntil("rail1 is listed", () => node.kubelet.devices(RAIL1).length === 3);
  t.same(node.kubelet.resources, [RAIL1]);
  node.tree.writeNumVfs(PF, 8);
  await node.lookUntil("8 VFs", () => node.kubelet.devices(RAIL0).length === 8);
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 2);
  await node.lookUntil("2 VFs", () => node.kubelet.devices(RAIL0).length === 2);
  t.same(node.kubelet.by("Healthy", RAIL0), ["0000:a0:02.0", "0000:a0:02.1"]);
});

t.test(
  "VFs are unhealthy when their PF has no carrier for the time of grace, and healthy at once when it has",
  async (t) => {
    const node = await Node.start(t);
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    node.log.take();
    node.tree.setCarrier("ens1", false);
    await node.look();
    node.nowMs += 29_999;
    await node.look();
    t.same(node.log.take(), [], "not yet");
    node.nowMs += 1;
    await node.lookUntil("the VFs of rail0 are unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 3);
    t.equal(node.kubelet.lists(RAIL0), 2, "nothing was said in between");
    t.equal(node.kubelet.by("Healthy", RAIL1).length, 3, "the other rail is well");
    t.same(
      node.log.lines.map(({ fields }) => fields),
      [
        {
          resource: RAIL0,
          rail: "rail0",
          unhealthy: { "PF ens1 (0000:a0:00.0) has no carrier: is it up, and what about cable and switch?": 3 },
        },
      ],
    );
    node.log.take();
    node.tree.setCarrier("ens1", true);
    await node.lookUntil("they are healthy again", () => node.kubelet.by("Healthy", RAIL0).length === 3);
    t.same(node.log.take(), ["info all VFs of a rail are healthy"]);
  },
);

t.test("a VF without driver is unhealthy, one in a pod is not, wherever its link is", async (t) => {
  const node = await Node.start(t);
  const [bare, inPod] = node.vfs as [string, string];
  node.tree.unbind(bare);
  node.tree.removeNetdev(inPod, node.tree.linkOf(inPod));
  node.attached.add(inPod);
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("one is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [bare]);
  t.equal(node.kubelet.devices(RAIL0)[1]!.ID, inPod, "it keeps its place");
});

t.test("a VF that vanished from under a pod stays in the list, unhealthy at once", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const [, , lost] = node.vfs as [string, string, string];
  node.attached.add(lost);
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 2);
  await node.lookUntil("it is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [lost]);
  t.equal(node.kubelet.devices(RAIL0).length, 3);
  node.attached.clear();
  await node.lookUntil("it is gone when its pod is", () => node.kubelet.devices(RAIL0).length === 2);
});

t.test("where RDMA is needed and the PF has it, its port must be active and each VF have a device", async (t) => {
  const node = await Node.start(t);
  const [first, second, third] = node.vfs as [string, string, string];
  node.tree.file(PF, "infiniband/mlx5_0/ports/1/state", "4: ACTIVE\n");
  for (const [i, vf] of [first, second].entries())
    node.tree.file(vf, `infiniband_verbs/uverbs${i}/ibdev`, `mlx5_${i + 2}\n`);
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("the one without is unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 1);
  t.same(node.kubelet.by("Unhealthy", RAIL0), [third]);
  node.tree.file(PF, "infiniband/mlx5_0/ports/1/state", "1: DOWN\n");
  await node.look();
  node.nowMs += 30_000;
  await node.lookUntil("all are unhealthy", () => node.kubelet.by("Unhealthy", RAIL0).length === 3);
});

t.test("Allocate gives what the SR-IOV device plugin gives: variables, RDMA devices, device-info files", async (t) => {
  const node = await Node.start(t);
  const [first, second] = node.vfs as [string, string];
  mkdirSync(join(node.tree.root, "class/misc/rdma_cm"), { recursive: true });
  node.tree.file(first, "infiniband_verbs/uverbs4/ibdev", "mlx5_4\n");
  node.tree.file(first, "infiniband_mad/umad4/ibdev", "mlx5_4\n");
  node.tree.file(first, "infiniband_mad/issm4/ibdev", "mlx5_4\n");
  node.tree.file(second, "infiniband_verbs/uverbs5/ibdev", "mlx5_5\n");
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const request = { container_requests: [{ devices_ids: [first, second] }, { devices_ids: [] }] };
  const {
    container_responses: [both, none],
  } = await node.kubelet.call(RAIL0, "Allocate", request);
  const { PCIDEVICE_RAILNET_IO_RAIL0_INFO: info, ...envs } = both.envs;
  t.same(envs, { PCIDEVICE_RAILNET_IO_RAIL0: `${first},${second}` });
  t.same(JSON.parse(info), {
    [first]: {
      generic: { deviceID: first },
      rdma: {
        uverbs: "/dev/infiniband/uverbs4",
        umad: "/dev/infiniband/umad4",
        issm: "/dev/infiniband/issm4",
        rdma_cm: "/dev/infiniband/rdma_cm",
        rdma_dev: "mlx5_4",
      },
    },
    [second]: {
      generic: { deviceID: second },
      rdma: { uverbs: "/dev/infiniband/uverbs5", rdma_cm: "/dev/infiniband/rdma_cm", rdma_dev: "mlx5_5" },
    },
  });
  t.same(
    both.devices,
    ["uverbs4", "umad4", "issm4", "rdma_cm", "uverbs5"].map((name) => ({
      container_path: `/dev/infiniband/${name}`,
      host_path: `/dev/infiniband/${name}`,
      permissions: "rw",
    })),
  );
  t.same(none.envs, { PCIDEVICE_RAILNET_IO_RAIL0: "", PCIDEVICE_RAILNET_IO_RAIL0_INFO: "{}" });
  t.same(node.info(first), {
    type: "pci",
    version: "1.1.0",
    pci: { "pci-address": first, "pf-pci-address": PF, "rdma-device": "mlx5_4" },
  });
  await node.kubelet.call(RAIL0, "Allocate", { container_requests: [{ devices_ids: [first] }] });
  t.equal(readdirSync(node.infoDir).length, 2, "said again in the same file");
});

t.test("Allocate of a VF without RDMA gives no devices", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const request = { container_requests: [{ devices_ids: [node.vfs[0]] }] };
  const {
    container_responses: [one],
  } = await node.kubelet.call(RAIL0, "Allocate", request);
  t.same(one.devices, []);
  t.equal(one.envs.PCIDEVICE_RAILNET_IO_RAIL0_INFO, `{"${node.vfs[0]}":{"generic":{"deviceID":"${node.vfs[0]}"}}}`);
  t.same(node.info(node.vfs[0]!), {
    type: "pci",
    version: "1.1.0",
    pci: { "pci-address": node.vfs[0], "pf-pci-address": PF },
  });
});

t.test("Allocate refuses a VF of another rail, and one that is not there any more", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const allocate = (id: string) =>
    node.kubelet.call(RAIL0, "Allocate", { container_requests: [{ devices_ids: [id] }] });
  await t.rejects(allocate("0000:b0:02.0"), {
    code: 5,
    details: "cannot allocate 0000:b0:02.0: it is no VF of rail rail0",
  });
  node.tree.hide(node.vfs[0]!);
  await t.rejects(allocate(node.vfs[0]!), {
    code: 9,
    details: `cannot allocate ${node.vfs[0]}: it is not on the PCI bus`,
  });
  t.throws(() => readdirSync(node.infoDir), { code: "ENOENT" }, "nothing was written");
});

t.test("GetPreferredAllocation and PreStartContainer answer", async (t) => {
  const node = await Node.start(t);
  const [first, second, third] = node.vfs as [string, string, string];
  node.attached.add(first);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const one = { available_deviceIDs: [third, second, first], must_include_deviceIDs: [], allocation_size: 2 };
  const { container_responses } = await node.kubelet.call(RAIL0, "GetPreferredAllocation", {
    container_requests: [one, { ...one, allocation_size: 3 }],
  });
  t.same(container_responses, [{ deviceIDs: [second, third] }, { deviceIDs: [second, third, first] }]);
  t.same(await node.kubelet.call(RAIL0, "PreStartContainer", { devices_ids: [first] }), {});
});

t.test("a kubelet that restarts is told again, with the same VFs, one in a pod among them", async (t) => {
  const node = await Node.start(t);
  const inPod = node.vfs[1]!;
  node.tree.removeNetdev(inPod, node.tree.linkOf(inPod));
  node.attached.add(inPod);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const before = node.kubelet.devices(RAIL0);
  await node.kubelet.restart();
  await node.lookUntil("rail0 is listed again", () => node.kubelet.devices(RAIL0).length === 3);
  t.same(node.kubelet.devices(RAIL0), before);
  t.same(node.kubelet.resources, [RAIL1, RAIL0]);
});

t.test(
  "a kubelet that is not there, was killed or refuses is asked until it takes the rails, and it is said once",
  async (t) => {
    const node = await Node.start(t);
    node.kubelet.stop();
    await node.look();
    t.same(node.log.take(), [], "no socket, no kubelet");
    leaveSocket(join(node.dir, "kubelet.sock"));
    for (let turn = 0; turn < 3; turn++) await node.look();
    t.match(node.log.take(), [
      /^warn the kubelet did not take a resource: it is asked again: .*ECONNREFUSED/,
      /ECONNREFUSED/,
    ]);
    node.kubelet.refuse = "the resource name is taken";
    await node.kubelet.start();
    for (let turn = 0; turn < 3; turn++) await node.look();
    t.same(
      node.log.take(),
      Array(2).fill("warn the kubelet did not take a resource: it is asked again: the resource name is taken"),
    );
    node.kubelet.refuse = undefined;
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  },
);

t.test("a kubelet that lost us without a restart is told again", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  node.kubelet.hangUp(RAIL0);
  await until("the stream has ended", () => node.kubelet.resources.length === 1);
  await node.look();
  t.equal(node.kubelet.registrations.length, 2, "it may be about to come back");
  await until("the plugin has seen it, too, and waited", () => {
    node.nowMs += 5_001;
    void node.look();
    return node.kubelet.devices(RAIL0).length === 3;
  });
  t.same(node.kubelet.resources, [RAIL1, RAIL0]);
});

t.test("a socket that somebody removed is made again", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  rmSync(join(node.dir, "railnet-rail0.sock"));
  await node.lookUntil("it is registered again", () => node.kubelet.registrations.length === 3);
  await until("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
});

for (const how of ["killed", "stopped"] as const)
  t.test(`another agent takes the place of one that was ${how}, with the same VFs`, async (t) => {
    const node = await Node.start(t);
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    const before = node.kubelet.devices(RAIL0);
    await node.replaceAgent(how);
    t.same(
      readdirSync(node.dir),
      how === "killed" ? ["kubelet.sock", "railnet-rail0.sock", "railnet-rail1.sock"] : ["kubelet.sock"],
    );
    await until("the kubelet has noticed", () => node.kubelet.resources.length === 0);
    await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
    t.same(node.kubelet.devices(RAIL0), before);
  });

t.test("a kubelet that does not read gets the latest list when it does", async (t) => {
  const node = await Node.start(t);
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 8); // more than one stream's window in 200 lists
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 8);
  node.kubelet.deaf = true;
  for (let turn = 0; turn < 400; turn++) {
    node.tree.setCarrier("ens1", turn % 2 === 1);
    node.nowMs += 60_000;
    await node.look();
    node.nowMs += 60_000;
    await node.look();
  }
  node.tree.writeNumVfs(PF, 0);
  node.tree.writeNumVfs(PF, 4);
  await node.look();
  node.kubelet.listen(RAIL0);
  await until("the last list has come", () => node.kubelet.devices(RAIL0).length === 4);
  t.equal(node.kubelet.by("Healthy", RAIL0).length, 4);
  t.ok(node.kubelet.lists(RAIL0) < 400, `${node.kubelet.lists(RAIL0)} lists of 400 were kept for it`);
});

t.test("a rail that leaves the list is no resource any more, one that gets another name is another", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil(
    "both are listed",
    () => node.kubelet.devices(RAIL0).length === 3 && node.kubelet.devices(RAIL1).length === 3,
  );
  node.rails = "- { name: rail1, pf: { names: [ens2] }, resource: example.com/other }";
  await node.lookUntil("the new one is listed", () => node.kubelet.devices("example.com/other").length === 3);
  t.same(node.kubelet.resources, ["example.com/other"]);
  t.same(readdirSync(node.dir), ["kubelet.sock", "railnet-rail1.sock"]);
});

t.test("device-info files of VFs that are gone are swept at the start, those of others stay", async (t) => {
  const node = await Node.start(t);
  mkdirSync(node.infoDir, { recursive: true });
  const files = [
    "railnet.io-rail0-0000:a0:02.0-device.json",
    "railnet.io-rail0-0000:a0:1f.0-device.json",
    "railnet.io-rail0-b-0000:a0:1f.0-device.json",
    "intel.com-x-0000:a0:1f.0-device.json",
  ];
  for (const file of files) writeFileSync(join(node.infoDir, file), "{}");
  await node.look();
  t.same(readdirSync(node.infoDir), files.filter((file) => file !== files[1]).sort());
});

t.test("calls that are no gRPC, of no method, or never end leave the plugin well", async (t) => {
  const node = await Node.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const socket = join(node.dir, "railnet-rail0.sock");
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0", "\0".repeat(100_000)]) {
    const peer = connect(socket);
    peer.on("error", () => {});
    peer.write(bytes);
    setTimeout(() => peer.destroy(), 100);
  }
  await t.rejects(node.kubelet.call(RAIL1, "Allocate", { container_requests: [{ devices_ids: ["nothing"] }] }), {
    code: 5,
  });
  t.same(await node.kubelet.call(RAIL0, "PreStartContainer", { devices_ids: [] }), {});
});
