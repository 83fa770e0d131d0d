import { spawn } from "node:child_process";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { hasLostTimer } from "../../lab/vm/lost-timer.ts";
import { Machine } from "../../lab/vm/machine.ts";
import { chooseAccelerator, type MachineSpec, qemuArguments } from "../../lab/vm/qemu.ts";

const SPEC: MachineSpec = {
  name: "n0",
  index: 0,
  link: "stream",
  cable: "lab",
  iommu: false,
  primary: true,
  hostPorts: false,
  memoryMiB: 1024,
  cpus: 1,
  append: "",
};
const PLACES = { images: "/images", state: "/state/n0", cables: "/state" };
const values = (spec: MachineSpec, option: string): string[] => {
  const args = qemuArguments(spec, PLACES, "tcg");
  return args.filter((_, i) => args[i - 1] === option);
};

for (const [flags, device, forced, expected] of [
  ["fpu vmx sse", "kvm", undefined, "kvm"],
  ["fpu sse svm", "kvm", undefined, "kvm"],
  ["fpu svmx sse", "kvm", undefined, "tcg"],
  ["fpu sse", "kvm", undefined, "tcg"],
  ["fpu vmx sse", "none", undefined, "tcg"],
  ["fpu vmx sse", "kvm", "tcg", "tcg"],
  ["fpu sse", "none", "kvm", "kvm"],
] as const)
  t.test(`chooseAccelerator() says ${expected} for flags "${flags}", device ${device}, forced ${forced}`, async (t) => {
    const dir = t.testdir({ cpuinfo: `processor\t: 0\nflags\t\t: ${flags}\nbogomips\t: 1\n`, kvm: "" });
    chmodSync(join(dir, "kvm"), 0o600);
    t.equal(chooseAccelerator(forced, join(dir, "cpuinfo"), join(dir, device)), expected);
  });

t.test("chooseAccelerator() refuses an unknown accelerator", async (t) => {
  t.throws(() => chooseAccelerator("xen"), { message: "cannot use RAILNET_VM_ACCEL=xen: not kvm or tcg (EINVAL)" });
});

t.test(
  "qemuArguments() joins each rail of node 0 to the same rail of node 1, and the primary network too",
  async (t) => {
    const [servers, clients] = [0, 1].map((index) =>
      values({ ...SPEC, index }, "-netdev").filter((v) => !v.startsWith("hub")),
    );
    t.equal(servers?.length, 5);
    const path = (netdev: string) => /addr\.path=([^,]*)/.exec(netdev)?.[1];
    t.same(servers?.map(path), clients?.map(path));
    t.equal(new Set(servers?.map(path)).size, 5, "one cable each");
    t.ok(servers?.every((v) => v.includes("server=on")) && clients?.every((v) => v.includes("server=off")));
  },
);

t.test("qemuArguments() gives every NIC of both nodes an address of its own", async (t) => {
  const macs = [0, 1].flatMap((index) =>
    values({ ...SPEC, index }, "-device").flatMap((v) => /mac=(\S+)/.exec(v)?.[1] ?? []),
  );
  t.equal(macs.length, 10);
  t.equal(new Set(macs).size, 10);
});

t.test("qemuArguments() puts the IOMMU before every PCI device and tells the kernel", async (t) => {
  const spec = { ...SPEC, iommu: true };
  t.equal(values(spec, "-device")[0], "intel-iommu");
  t.match(values(spec, "-append")[0], /intel_iommu=on/);
  t.notMatch(values(SPEC, "-append")[0], /iommu/);
});

t.test("qemuArguments() gives a machine a disk only when it has an image of one", async (t) => {
  t.same(values(SPEC, "-drive"), []);
  t.match(values({ ...SPEC, disk: "/d" }, "-drive"), [/^file=\/d,/]);
});

t.test("qemuArguments() refuses memory with which VFs do not work", async (t) => {
  t.throws(() => values({ ...SPEC, memoryMiB: 4096 }, "-m"), {
    message: "cannot give n0 4096 MiB of memory: with more than 2815 its VFs get no carrier (EINVAL)",
  });
});

t.test("a machine is seen to run by every name of the folder that it is in", async (t) => {
  const dir = t.testdir({ real: { n9: {} }, link: t.fixture("symlink", "real") });
  const qemu = spawn("sleep", ["60"], { argv0: `${dir}/real/n9/c0` });
  t.teardown(() => qemu.kill());
  writeFileSync(join(dir, "real/n9/pid"), `${qemu.pid}\n`);
  t.teardown(() => delete process.env["RAILNET_VM_STATE"]);
  for (const name of ["real", "link"]) {
    process.env["RAILNET_VM_STATE"] = join(dir, name);
    t.equal(Machine.isRunning("n9"), true, name);
    t.equal(Machine.isRunning("n8"), false, `${name}: another`);
  }
});

t.test("hasLostTimer() knows a guest whose timer was lost from one that is slow", async (t) => {
  const slow = [
    "[  355.323348] rcu: INFO: rcu_preempt detected stalls on CPUs/tasks:",
    "[  355.336817] rcu: rcu_preempt kthread starved for 5246 jiffies! g4893 f0x0 RCU_GP_WAIT_FQS(5) ->state=I ->cpu=0",
  ];
  const lost = "[  355.336688] rcu: \tPossible timer handling issue on cpu=0 timer-softirq=1115";
  t.same([hasLostTimer(slow.join("\n")), hasLostTimer([...slow, lost].join("\n"))], [false, true]);
});
