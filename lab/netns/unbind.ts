import type { Netns } from "./netns.ts";
import type { World } from "./world.ts";

/** The driver lets go of the first VF, which is in a pod: its link ends. The answer binds it again, which makes a new link. */
export async function unbind(world: World, pod: Netns): Promise<() => Promise<void>> {
  const { pci, netdev } = world.vfs[0]!;
  const [[own = {}], [port = {}]] = (await Promise.all([
    pod.show("link", "show", "net1"),
    world.host.show("link", "show", `${netdev}p`),
  ])) as [Record<string, unknown>[], Record<string, unknown>[]];
  await pod.batch(["link del net1"]);
  world.sysfs.unbind(pci);
  world.sysfs.removeNetdev(pci, netdev);
  return async () => {
    await world.host.batch([
      `link add eth7 index ${own["ifindex"]} address 02:99:99:99:99:99 mtu 1300 type veth peer name ${netdev}p index ${port["ifindex"]} address ${port["address"]}`,
      `link set ${netdev}p up`,
    ]);
    world.sysfs.bind(pci, "iavf");
    world.sysfs.addNetdev(pci, "eth7");
  };
}

/** sysfs as it is when the link has its name again. */
export function showName(world: World): void {
  const { pci, netdev } = world.vfs[0]!;
  world.sysfs.removeNetdev(pci, "eth7");
  world.sysfs.addNetdev(pci, netdev);
}
