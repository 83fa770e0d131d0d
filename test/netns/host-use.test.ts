import { mkdirSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { WAYS } from "../../lab/netns/call.ts";
import { inside } from "../../lab/netns/inside.ts";
import { unchanged } from "../../lab/netns/unchanged.ts";
import { World } from "../../lab/netns/world.ts";

const world = await World.create({ vfs: 2 });
t.teardown(() => world.close());
const pod = await world.pod();
const { pci, netdev } = world.vfs[0]!;
const link = join(world.sysfs.root, "class/net", netdev);
const ip = (...args: string[]) => world.host.ip(...args);
const set = (what: string) => ip("link", "set", netdev, what);

for (const { what, use, end, says } of [
  {
    what: "has an address",
    use: () => ip("address", "add", "10.99.0.1/24", "dev", netdev),
    end: () => ip("address", "del", "10.99.0.1/24", "dev", netdev),
    says: "it has address 10.99.0.1/24 of the host",
  },
  {
    what: "has an IPv6 address",
    use: () => ip("address", "add", "fd00::1/64", "dev", netdev),
    end: () => ip("address", "del", "fd00::1/64", "dev", netdev),
    says: "it has address fd00::1/64 of the host",
  },
  {
    what: "carries the default route",
    use: () => set("up").then(() => ip("route", "add", "default", "dev", netdev)),
    end: () => set("down"),
    says: "the host's route default uses it",
  },
  {
    what: "is a port of a bridge",
    use: () => symlinkSync("../br0", join(link, "master")),
    end: () => rmSync(join(link, "master")),
    says: "it belongs to br0",
  },
  {
    what: "has a VLAN on top",
    use: () => mkdirSync(join(link, "upper_vlan7")),
    end: () => rmSync(join(link, "upper_vlan7"), { recursive: true }),
    says: "vlan7 is on top of it",
  },
])
  for (const via of WAYS)
    t.test(`ADD does not take a VF from the host whose link ${what} (${via})`, (t) =>
      unchanged(t, world, via, async () => {
        await use();
        t.match(await world.call(via, "ADD", world.attachment(pod)), {
          exit: 1,
          json: { code: 102, msg: `cannot attach ${pci}: the host uses its link ${netdev}: ${says}; remove that` },
        });
        t.same((await inside(pod)).links, ["lo"]);
        await end();
        const a = world.attachment(pod);
        for (const verb of ["ADD", "DEL"] as const) t.match(await world.call(via, verb, a), { exit: 0 }, verb);
      }),
    );

t.test("ADD takes a VF that is up, with what the kernel gave it by itself", async (t) => {
  await set("up");
  await world.use("alone");
  const a = world.attachment(pod);
  for (const verb of ["ADD", "DEL"] as const) t.match(await world.call("alone", verb, a), { exit: 0 }, verb);
});
