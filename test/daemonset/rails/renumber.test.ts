import "../../cni/drivers/support/redirect.ts";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { PfTree } from "../support/pf-tree.ts";

// After the redirection: locks are those of the double.
const { Locks } = await import("../../../records/lock.ts");
const { rebind, writeNumVfs } = await import("../../../daemonset/rails/renumber.ts");

const PF = "0000:a0:00.0";

/** A PF with four VFs, and where a driver is unbound and bound. */
function node(t: Test) {
  const tree = new PfTree(t.testdir());
  tree.addPf({ pci: PF, netdev: "ens1" });
  tree.writeNumVfs(PF, 4);
  const driver = join(tree.root, "bus/pci/drivers/mlx5_core");
  mkdirSync(driver, { recursive: true });
  for (const file of ["unbind", "bind"]) writeFileSync(join(driver, file), "");
  const said = () => ["unbind", "bind"].map((file) => readFileSync(join(driver, file), "utf8"));
  return { tree, said, paths: { sysfs: tree.root, runDir: join(tree.root, "run") } };
}

/** Does it while somebody else holds the lock of the node's RDMA devices, and looks before and after that is released. */
async function whileLocked(t: Test, runDir: string, act: () => Promise<void>, isDone: () => boolean): Promise<void> {
  const held = new Locks(runDir).tryAcquire("rdma")!;
  const acting = act();
  for (let turns = 0; turns < 20; turns++) await new Promise((resolve) => setTimeout(resolve, 5));
  t.equal(isDone(), false, "not while the numbers are compared");
  held[Symbol.dispose]();
  await acting;
  t.equal(isDone(), true);
  const after = new Locks(runDir).tryAcquire("rdma");
  t.ok(after, "the lock is free again");
  after?.[Symbol.dispose]();
}

t.test("writeNumVfs() waits for whoever moves an RDMA device", async (t) => {
  const { tree, paths } = node(t);
  await whileLocked(
    t,
    paths.runDir,
    () => writeNumVfs(PF, 0, paths),
    () => tree.numVfs(PF) === "0",
  );
});

t.test("rebind() waits for whoever moves an RDMA device", async (t) => {
  const { tree, said, paths } = node(t);
  const [vf] = tree.vfs(PF) as [string];
  await whileLocked(
    t,
    paths.runDir,
    () => rebind(vf, paths),
    () => said().join() === `${vf},${vf}`,
  );
});

t.test("rebind() leaves a VF without driver alone", async (t) => {
  const { tree, said, paths } = node(t);
  const [vf] = tree.vfs(PF) as [string];
  tree.unbind(vf);
  await rebind(vf, paths);
  t.same(said(), ["", ""]);
});
