import { mkdirSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { PF, PluginNode, RAIL0 } from "./support/plugin-node.ts";

t.test("Allocate gives what the SR-IOV device plugin gives: variables, RDMA devices, device-info files", async (t) => {
  const node = await PluginNode.start(t);
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
  const { rails } = JSON.parse(readFileSync(join(node.runDir, "offered.json"), "utf8"));
  t.same([rails[first], rails[second], Object.keys(rails).length], ["rail0", "rail0", 6], "known to ADD");
  const told = join(node.runDir, "told", first.replaceAll(":", "-"));
  t.same(both.mounts, [{ container_path: "/run/railnet", host_path: told, read_only: true }]);
  t.match(statSync(told), { mode: 0o40755 }, "it is there before the kubelet knows of it");
  t.same(none.mounts, []);
  t.same(node.promised, ["lock", `${first} issm4 umad4 uverbs4`, `${second} uverbs5`], "kept for ADD, under the lock");
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
  const node = await PluginNode.start(t);
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
  const node = await PluginNode.start(t);
  await node.lookUntil("rail0 is listed", () => node.kubelet.devices(RAIL0).length === 3);
  const allocate = (id: string) =>
    node.kubelet.call(RAIL0, "Allocate", { container_requests: [{ devices_ids: [id] }] });
  await t.rejects(allocate("0000:b0:02.0"), {
    code: 5,
    details: "cannot allocate 0000:b0:02.0: it is not a VF of rail rail0",
  });
  node.tree.hide(node.vfs[0]!);
  await t.rejects(allocate(node.vfs[0]!), {
    code: 9,
    details: `cannot allocate ${node.vfs[0]}: it is not on the PCI bus`,
  });
  t.throws(() => readdirSync(node.infoDir), { code: "ENOENT" }, "nothing was written");
});

t.test("GetPreferredAllocation and PreStartContainer answer", async (t) => {
  const node = await PluginNode.start(t);
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
