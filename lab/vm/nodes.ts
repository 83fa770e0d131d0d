import { Machine, type MachineOptions } from "./machine.ts";

/** The two nodes of the VM tests: four rails with four VFs each, joined rail by rail, with an IOMMU, a primary network and one processor each (two are slower under TCG). */
export const NODES = [0, 1].map((index): MachineOptions & { name: string } => ({
  name: `n${index}`,
  index,
  link: "stream",
  vfs: 4,
  iommu: true,
  primary: true,
  cpus: 1,
})) as [MachineOptions, MachineOptions];

/** Boots both nodes at the same time; if one fails, neither stays. */
export async function startNodes(extra: Partial<MachineOptions> = {}): Promise<[Machine, Machine]> {
  const results = await Promise.allSettled(NODES.map((options) => Machine.start({ ...options, ...extra })));
  const machines = results.flatMap((result) => (result.status === "fulfilled" ? [result.value] : []));
  const failure = results.find((result) => result.status === "rejected");
  if (!failure) return machines as [Machine, Machine];
  await Promise.all(machines.map((machine) => machine.stop()));
  throw failure.reason;
}

/**
 * The nodes for a test file: those of the whole run if somebody keeps them (`vm.ts start-nodes`), else booted here and
 * stopped when the test ends.
 */
export async function nodesFor(t: { teardown(fn: () => Promise<void>): void }): Promise<[Machine, Machine]> {
  if (NODES.every(({ name }) => Machine.isRunning(name))) return [Machine.attach("n0"), Machine.attach("n1")];
  const machines = await startNodes();
  t.teardown(async () => {
    await Promise.all(machines.map((machine) => machine.stop()));
  });
  return machines;
}
