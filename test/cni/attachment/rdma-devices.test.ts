import { join } from "node:path";
import t, { type Test } from "tap";
import { bringRdmaHome, countRdma, moveIn, rdmaAtHome } from "../../../cni/attachment/rdma-devices.ts";
import type { Fd } from "../../../kernel/syscall.ts";
import { rdmaCharDevicesOf } from "../../../kernel/sysfs.ts";
import * as fc from "../../../lab/properties.ts";
import { RdmaNode } from "./support/rdma-node.ts";

const [A, B] = ["0000:a0:02.0", "0000:a0:02.1"] as const;
const POD = { n: 10 } as Fd;
const OTHER = 11;
const names = (node: RdmaNode, netns: number) => node.list(netns).map(({ name }) => name);

for (const { kernel, namesPerNetns } of [
  { kernel: "a kernel before 7.3", namesPerNetns: false },
  { kernel: "a kernel from 7.3 on", namesPerNetns: true },
]) {
  let count = 0;
  const nodeOf = (t: Test) => new RdmaNode(join(t.testdir(), `${count++}`), namesPerNetns);
  const home = (
    node: RdmaNode,
    pci: string,
    vf: { names: string[]; indices?: number[] },
    netns: Fd | undefined = POD,
  ) => bringRdmaHome(vf, pci, netns, node.tree.root, node);

  t.test(`rdmaAtHome() on ${kernel} waits for a device that is elsewhere, or just gets another name`, async (t) => {
    const node = nodeOf(t);
    const device = node.add(A, "mlx5_2");
    t.same(rdmaAtHome(node.tree.root, A, node), [{ index: 0, name: "mlx5_2" }]);
    node.move(device, POD.n);
    t.equal(rdmaAtHome(node.tree.root, A, node), undefined);
    t.equal(countRdma(node.tree.root, A), 1, "it is known to have one");
    node.move(device, node.home.n);
    device.name = "rocep1"; // netlink says so already, sysfs not yet
    t.equal(rdmaAtHome(node.tree.root, A, node), undefined);
    node.rename(device, "rocep1");
    t.same(rdmaAtHome(node.tree.root, A, node), [{ index: 0, name: "rocep1" }]);
  });

  t.test(`moveIn() on ${kernel} moves by index, and counts what moved`, async (t) => {
    const node = nodeOf(t);
    const device = node.add(A, "mlx5_2");
    node.rename(device, "rocep1"); // by udev, since it was planned
    t.same(moveIn([{ index: 0, name: "mlx5_2" }], POD, A, node), [{ index: 0, name: "rocep1" }], "as the pod has it");
    t.same(names(node, POD.n), ["rocep1"]);
    t.same(moveIn([{ index: 0, name: "rocep1" }], POD, A, node), [], "it is not at home any more");
    t.same(moveIn([{ index: 7, name: "mlx5_7" }], POD, A, node), [], "there is none");
  });

  t.test(
    `bringRdmaHome() on ${kernel} brings a device that was renamed in the pod home under its own name`,
    async (t) => {
      for (const indices of [[0], undefined]) {
        const node = nodeOf(t);
        const device = node.add(A, "mlx5_2");
        node.add(B, "mlx5_3");
        node.move(device, POD.n);
        node.rename(device, "tenants");
        t.ok(home(node, A, { names: ["mlx5_2"], ...(indices && { indices }) }));
        t.same(
          names(node, node.home.n),
          ["mlx5_2", "mlx5_3"],
          indices ? "by its index" : "by what is behind its uverbs",
        );
      }
    },
  );

  t.test(`bringRdmaHome() on ${kernel} gives a device that fell back its own name`, async (t) => {
    const node = nodeOf(t);
    const device = node.add(A, "mlx5_2");
    node.move(device, POD.n);
    node.die(POD.n);
    t.ok(home(node, A, { names: ["mlx5_2"], indices: [0] }, undefined));
    t.same(names(node, node.home.n), ["mlx5_2"]);
  });

  t.test(
    `bringRdmaHome() on ${kernel} says what is not at home yet, and owes nothing for one that is no more`,
    async (t) => {
      const node = nodeOf(t);
      const device = node.add(A, "mlx5_2");
      node.move(device, OTHER); // a namespace within the pod's
      const vf = { names: ["mlx5_2"], indices: [0] };
      t.notOk(home(node, A, vf), "it is somewhere");
      node.remove(device);
      t.ok(home(node, A, vf), "its driver went");
      node.add(B, "mlx5_2");
      t.ok(home(node, A, vf));
    },
  );

  t.test(
    `whatever pods and the kernel do on ${kernel}, every device is at home at the end, once, by its own name`,
    async (t) => {
      const step = fc.record({ vf: fc.nat(3), to: fc.integer({ min: 10, max: 12 }), name: fc.nat(5), what: fc.nat(3) });
      fc.assert(
        fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
          const node = nodeOf(t);
          const vfs = [0, 1, 2, 3].map((i) => node.add(`0000:a0:02.${i}`, `mlx5_${i}`));
          const deviceOf = (index: number) =>
            [3, 10, 11, 12].flatMap((netns) => node.list(netns)).find((d) => d.index === index)!;
          for (const { vf, to, name, what } of steps)
            try {
              if (what === 0)
                moveIn(rdmaAtHome(node.tree.root, vfs[vf]!.pci, node) ?? [], { n: to } as Fd, vfs[vf]!.pci, node);
              if (what === 1 && deviceOf(vf).netns !== 3) node.rename(deviceOf(vf), `mlx5_${name}`);
              if (what === 2 && deviceOf(vf).netns !== 3) node.move(deviceOf(vf), to);
              if (what === 3) node.die(to);
            } catch {} // the kernel refused
          for (let round = 0; round < 2; round++)
            for (const { pci, index } of vfs)
              for (const netns of [10, 11, 12])
                home(node, pci, { names: [`mlx5_${index}`], indices: [index] }, { n: netns } as Fd);
          const at = node.list(3);
          const own = at.filter(({ name, index }) => name === `mlx5_${index}`).length;
          return at.length === 4 && new Set(at.map(({ name }) => name)).size === 4 && own === 4;
        }),
        { numRuns: 25 },
      );
    },
  );
}

t.test("moveIn() gives a device another name where the pod has one of its name", async (t) => {
  const node = new RdmaNode(t.testdir(), true);
  const first = node.add(A, "mlx5_2");
  node.move(first, POD.n);
  node.add(B, "mlx5_2"); // the host makes another
  t.same(moveIn([{ index: 1, name: "mlx5_2" }], POD, B, node), [{ index: 1, name: "vf0000a0021" }]);
  t.same(names(node, POD.n), ["mlx5_2", "vf0000a0021"]);
});

t.test("bringRdmaHome() gives a device another name where the host made one of its name", async (t) => {
  const node = new RdmaNode(t.testdir(), true);
  const first = node.add(A, "mlx5_2");
  node.move(first, POD.n);
  node.add(B, "mlx5_2");
  t.ok(bringRdmaHome({ names: ["mlx5_2"], indices: [0] }, A, POD, node.tree.root, node));
  t.same(names(node, node.home.n), ["vf0000a0020", "mlx5_2"]);
});

t.test("a move takes the lowest free number for a device's uverbs", async (t) => {
  const node = new RdmaNode(t.testdir(), true);
  const gone = node.add("0000:a0:02.7", "mlx5_0");
  const device = node.add(A, "mlx5_1");
  t.same(rdmaCharDevicesOf(node.tree.root, A), ["uverbs1"]);
  node.remove(gone);
  node.move(device, POD.n);
  t.same(rdmaCharDevicesOf(node.tree.root, A), ["uverbs0"], "as the kernel does");
});
