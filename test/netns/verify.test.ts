import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { World } from "../../lab/netns/world.ts";

const world = await World.create({ vfs: 3 });
t.teardown(() => world.close());
const configDir = join(world.dir, "config");
mkdirSync(configDir);
writeFileSync(
  join(configDir, "rails"),
  "- { name: blue0, pf: { names: [rail0] } }\n- { name: blue1, pf: { names: [rail1] } }\n",
);
for (const rail of ["rail0", "rail1"]) world.sysfs.setCarrier(rail, true);
const kubelet = join(world.dir, "kubelet");
mkdirSync(kubelet);
const verify = async (...args: string[]) => {
  const { exit, stdout, stderr } = await world.railnet("verify", "--config-dir", configDir, "--device-plugins", kubelet, ...args); // biome-ignore format: one row
  return { exit, stdout, stderr };
};
type Link = Record<string, unknown>;
const links = async () => (await world.host.show("link")) as Link[];
/** Of VFs, without their places in the kernel's list. */
const vfLinks = (all: readonly Link[]) =>
  all
    .filter(({ ifname }) => /v\d+$/.test(String(ifname)))
    .map(({ ifname, address, mtu, flags, ifalias, altnames }) => ({ ifname, address, mtu, flags, ifalias, altnames }))
    .toSorted((a, b) => String(a.ifname).localeCompare(String(b.ifname)));
const vfsOf = (rail: string) => world.vfs.filter((vf) => vf.rail === rail).map(({ pci }) => pci);

t.test("railnet verify proves each rail with a VF that nobody has, and all is as before", async (t) => {
  await world.noAgent();
  const before = await links();
  t.match(await verify("--rail", "blue0"), { exit: 1, stdout: /^blue0: a second VF of the rail does not answer ARP/m }); // their ports are of no switch
  for (const rail of ["rail0", "rail1"])
    await world.host.batch([
      `link add sw-${rail} type bridge mcast_snooping 0`,
      `link set sw-${rail} up`,
      ...world.vfs.filter((vf) => vf.rail === rail).map(({ netdev }) => `link set ${netdev}p master sw-${rail}`),
    ]);
  const { exit, stdout, stderr } = await verify("--json");
  const { rails } = JSON.parse(stdout || stderr);
  t.same(rails.map(({ rail, why }: Record<string, string>) => [rail, why]), [["blue0", undefined], ["blue1", undefined]]); // biome-ignore format: one row
  t.equal(exit, 0);
  for (const { ms } of rails) t.same(Object.keys(ms).sort(), ["ADD", "CHECK", "DEL", "ping", "ready"]);
  t.same([world.records(), world.locks()], [[], []]);
  t.same(vfLinks(await links()), vfLinks(before), "as before");
  t.match((await verify()).stdout, /^RAIL +PF +VF +ADD ms +ready ms +CHECK ms +ping ms +DEL ms +RESULT\nblue0 .* passed\nblue1 .* passed\n$/); // biome-ignore format: one row
});

t.test("railnet verify touches no VF that the kubelet has given, and names what is not proven", async (t) => {
  const [last, ...others] = vfsOf("rail1").toReversed();
  const given = (ids: readonly string[]) =>
    writeFileSync(join(kubelet, "kubelet_internal_checkpoint"), JSON.stringify({ Data: { PodDeviceEntries: [{ PodUID: "u", ContainerName: "c", ResourceName: "r", DeviceIDs: { "-1": ids } }] } })); // biome-ignore format: one row
  given([others.join(",")]);
  const one = await verify("--rail", "blue1");
  t.match(one.stdout, `${last}`, "the one that is left");
  t.match(one, { exit: 0, stdout: /^blue1: left out: ping: no second VF is free$/m });
  given(vfsOf("rail1"));
  const before = await links();
  t.match(await verify(), { exit: 1, stdout: /^blue0 .* passed\nblue1 .* FAILED\n\nblue1: no VF is free/m });
  t.match(await verify("--rail", "green"), { exit: 2, stderr: /cannot verify rail green: this node has blue0, blue1/ });
  t.same(vfLinks(await links()), vfLinks(before));
  writeFileSync(join(kubelet, "kubelet_internal_checkpoint"), "{");
  t.match(await verify(), { exit: 1, stderr: /cannot tell to which pod the kubelet gave a VF/ });
});
