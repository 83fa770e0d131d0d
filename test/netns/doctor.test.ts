import { copyFileSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { World } from "../../lab/netns/world.ts";

interface Finding {
  readonly check: string;
  readonly is: string;
  readonly says: string;
}

const world = await World.create({ vfs: 2 });
t.teardown(() => world.close());
const root = join(world.dir, "root");
const [plugins, executables] = [join(root, "opt/cni/bin"), join(root, "opt/railnet/bin")];
for (const dir of [plugins, executables]) mkdirSync(dir, { recursive: true });
const shim = join(world.cniBin, "railnet-sriov");
const places = [join(plugins, "railnet-sriov"), join(plugins, "railnet-ipam"), join(executables, "railnet-shim")];
const install = () => {
  for (const path of places) copyFileSync(shim, path);
};
install();
const agent = await world.agent();

async function doctor(...args: string[]): Promise<{ exit: number | null; wrong: string[]; all: Finding[] }> {
  const { exit, stdout, stderr } = await world.railnet("doctor", "--json", "--root", root, ...args);
  if (!stdout) throw new Error(stderr);
  const all: Finding[] = JSON.parse(stdout);
  return { exit, all, wrong: all.filter(({ is }) => is === "wrong").map(({ check, says }) => `${check}: ${says}`) };
}

t.test("railnet doctor of a node that is well finds nothing, and says what it looked at", async (t) => {
  const { exit, all, wrong } = await doctor();
  t.same(wrong, []);
  t.equal(exit, 0);
  t.same(
    all.map(({ check }) => check),
    ["rails", "MTU", "RDMA", "VFs' managers", "executables", "journal", "sriov-cni", "API server"],
  );
  const { stdout } = await world.railnet("doctor", "--root", root);
  t.match(stdout, /^IS +CHECK +WHAT, AND WHAT TO DO\nok +rails +the agent serves; up with carrier: rail0, rail1\n/);
  t.match(stdout, /\nnothing is wrong\n$/);
});

const vf = world.vfs[0]!;
const mtuFile = join(world.sysfs.path(vf.pci), "net", vf.netdev, "mtu");
const cache = join(world.dir, "cache/sriov/pci");
/** What a program of the host keeps in /run of a link, by its index. */
const INDEX = "77";
const linkDir = join(world.sysfs.path(vf.pci), "net", vf.netdev);
const keeps = (path: string, text: string) => {
  writeFileSync(join(linkDir, "ifindex"), `${INDEX}\n`);
  mkdirSync(join(root, "run", path, ".."), { recursive: true });
  writeFileSync(join(root, "run", path), text);
};
const forgets = () => rmSync(join(root, "run"), { recursive: true });

for (const { when, make, mend, want } of [
  {
    when: "a plugin that is missing",
    make: () => rmSync(places[1]!),
    mend: install,
    want: /^executables: .*\/railnet-ipam is missing: railnet install$/,
  },
  {
    when: "a VF without node GUID",
    make: () => {
      mkdirSync(join(world.sysfs.path(vf.pci), "infiniband/mlx5_2"), { recursive: true });
      writeFileSync(join(world.sysfs.path(vf.pci), "infiniband/mlx5_2/node_guid"), "0000:0000:0000:0000\n");
    },
    mend: () => rmSync(join(world.sysfs.path(vf.pci), "infiniband"), { recursive: true }),
    want: /^RDMA: VFs of rail0 have no node GUID, so rdma_cm fails: 0000:a0:02\.0: the agent sets them while/,
  },
  {
    when: "a plugin of somebody else",
    make: () => writeFileSync(places[0]!, "#!/bin/sh\n"),
    mend: install,
    want: /^executables: .*\/railnet-sriov is not Railnet's/,
  },
  {
    when: "a shim of another version",
    make: () => writeFileSync(places[2]!, "another"),
    mend: install,
    want: /^executables: .*\/railnet-sriov is of another version than .*: railnet install$/,
  },
  {
    when: "a VF whose MTU its PF does not let through",
    make: () => writeFileSync(mtuFile, "9000\n"),
    mend: () => rmSync(mtuFile),
    want: new RegExp(
      `^MTU: PF rail0 has 1500, which is less than its VFs ${vf.netdev} \\(9000\\): ip link set rail0 mtu`,
    ),
  },
  {
    when: "what sriov-cni left of a pod that is gone",
    make: () => {
      mkdirSync(cache, { recursive: true });
      writeFileSync(join(cache, vf.pci), "/run/netns/gone");
    },
    mend: () => rmSync(join(cache, vf.pci)),
    want: /^sriov-cni: has left a record of a pod that is gone: rm .*\/sriov\/pci\/0000:a0:02\.0$/,
  },
  {
    when: "a VF that NetworkManager manages",
    make: () => keeps(`NetworkManager/devices/${INDEX}`, "[device]\nmanaged=true\nnm-owned=0\n"),
    mend: forgets,
    want: new RegExp(`^VFs' managers: NetworkManager manages VF ${vf.netdev}: install the files of manifests/host`),
  },
  {
    when: "a VF that systemd-networkd configures",
    make: () => keeps(`systemd/netif/links/${INDEX}`, "ADMIN_STATE=configuring\nOPER_STATE=carrier\n"),
    mend: forgets,
    want: new RegExp(
      `^VFs' managers: systemd-networkd configures VF ${vf.netdev}: install the files of manifests/host`,
    ),
  },
  {
    when: "a rail without carrier",
    make: () => world.host.ip("link", "set", "rail1p", "down"),
    mend: () => world.host.ip("link", "set", "rail1p", "up"),
    want: /^rails: PF rail1 has no carrier: check cable and switch$/,
  },
  {
    when: "a kubeconfig that is none",
    make: () => writeFileSync(join(world.dir, "node.json"), '{"kubeconfig":"/none/kubeconfig"}'),
    mend: () => rmSync(join(world.dir, "node.json")),
    want: /^API server: cannot read kubeconfig \/none\/kubeconfig: ENOENT/,
  },
])
  t.test(`railnet doctor finds ${when}`, async (t) => {
    await make();
    const { exit, wrong } = await doctor();
    t.match(wrong[0], want);
    t.equal(exit, 1);
    await mend();
    t.same((await doctor()).wrong, [], "and then nothing");
  });

t.test(
  "railnet doctor is content with programs that leave VFs alone, and notes a MAC that udev gave one",
  async (t) => {
    keeps(`NetworkManager/devices/${INDEX}`, "[device]\nmanaged=false\n");
    keeps(`systemd/netif/links/${INDEX}`, "ADMIN_STATE=unmanaged\n");
    keeps(`udev/data/n${INDEX}`, "E:ID_NET_LINK_FILE=/run/99-default.link\nE:NM_UNMANAGED=1\n");
    writeFileSync(join(root, "run/99-default.link"), "[Link]\nNamePolicy=keep\nMACAddressPolicy=persistent\n");
    writeFileSync(join(linkDir, "addr_assign_type"), "1\n");
    t.same((await doctor()).all.find(({ check }) => check === "VFs' managers")?.is, "ok", "its MAC is the driver's");
    writeFileSync(join(linkDir, "addr_assign_type"), "3\n");
    const found = (await doctor()).all.find(({ check }) => check === "VFs' managers");
    t.match(found, { is: "note", says: new RegExp(`^udev gave VF ${vf.netdev} its MAC or MTU`) });
    forgets();
  },
);

t.test("railnet doctor leaves sriov-cni's lock directory alone", async (t) => {
  mkdirSync(join(cache, "vf_lock"), { recursive: true });
  writeFileSync(join(cache, "vf_lock", `${vf.pci}.lock`), "");
  t.same((await doctor()).wrong, []);
  rmSync(cache, { recursive: true });
});

t.test("railnet doctor notes what may be as it is meant, and is content", async (t) => {
  mkdirSync(cache, { recursive: true });
  writeFileSync(join(cache, vf.pci), (await world.pod()).path);
  const torn = join(world.stateDir, "torn");
  mkdirSync(torn, { recursive: true });
  writeFileSync(join(torn, "x@0000:a0:02.0.json"), "{");
  const { exit, all } = await doctor();
  const notes = all.filter(({ is }) => is === "note").map(({ check }) => check);
  t.ok(notes.includes("sriov-cni") && notes.includes("journal"), notes.join());
  t.equal(exit, 0);
  rmSync(cache, { recursive: true });
  rmSync(torn, { recursive: true });
});

t.test("railnet doctor compares a rail's VFs with what its list wants, without an agent too", async (t) => {
  await agent.end("SIGTERM");
  const configDir = join(world.dir, "config");
  mkdirSync(configDir);
  writeFileSync(
    join(configDir, "rails"),
    "[{name: fast, vfs: 8, pf: {names: [rail1]}}, {name: slow, vfs: 3, pf: {names: [rail0]}}]",
  );
  const { wrong } = await doctor("--config-dir", configDir);
  t.match(wrong, [
    /^rails: no agent runs/,
    /^rails: rail fast \(rail1\) has 2 VFs of 8 configured: the agent's log says why/,
  ]);
  t.equal(wrong.length, 2, "slow has its three");
});
