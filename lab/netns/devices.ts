import { until } from "../until.ts";
import type { Netns } from "./netns.ts";
import type { SysfsTree } from "./sysfs-tree.ts";

/** A VF, or its substitute: one end of a veth pair; the other, with a `p` appended to its name, is its switch port. */
export interface Vf {
  readonly pci: string;
  readonly netdev: string;
  readonly rail: string;
}

/** The PFs that have VFs. */
const RAILS = [
  { pci: "0000:a0:00.0", netdev: "rail0" },
  { pci: "0000:a1:00.0", netdev: "rail1" },
];

/** A PF without VFs. */
export const BARE = { pci: "0000:f0:00.0", netdev: "bare" };

/** A VF of rail0 that vfio-pci drives. */
export const VFIO = "0000:a0:1f.0";

/** A network card without SR-IOV. */
export const PLAIN = "0000:f1:00.0";

/** The VFs of both rails, `each` a rail. */
export function listVfs(each: number): Vf[] {
  return RAILS.flatMap(({ netdev: rail }, r) =>
    Array.from({ length: each }, (_, i) => ({
      pci: `0000:a${r}:${(2 + (i >> 3)).toString(16).padStart(2, "0")}.${i & 7}`,
      netdev: `${rail}v${i}`,
      rail,
    })),
  );
}

export function fillSysfs(sysfs: SysfsTree, vfs: readonly Vf[]): void {
  for (const { pci, netdev } of vfs) sysfs.add({ pci, netdev, driver: "iavf" });
  sysfs.add({ pci: VFIO, driver: "vfio-pci" });
  for (const [i, pf] of RAILS.entries()) {
    const own = vfs.filter(({ rail }) => rail === pf.netdev).map(({ pci }) => pci);
    sysfs.add({ ...pf, driver: "ice" });
    sysfs.setVfs(pf.pci, i === 0 ? [...own, VFIO] : own);
  }
  sysfs.add({ ...BARE, driver: "ice" });
  sysfs.setVfs(BARE.pci, []);
  sysfs.add({ pci: PLAIN, driver: "e1000" });
}

/** Creates the links: PFs and ports up, VFs down as after their creation. Returns once the PFs have carrier, which comes a while later. */
export async function plugIn(host: Netns, vfs: readonly Vf[]): Promise<void> {
  const pfs = [...RAILS, BARE];
  await host.batch([
    "link set lo up",
    ...[...pfs, ...vfs].flatMap(({ netdev }) => [
      `link add ${netdev} type veth peer name ${netdev}p`,
      `link set ${netdev}p up`,
    ]),
    ...pfs.map(({ netdev }) => `link set ${netdev} up`),
  ]);
  const names = new Set(pfs.map(({ netdev }) => netdev));
  await until("the PFs have carrier", async () =>
    (await host.show("link")).every(({ ifname, operstate }) => !names.has(String(ifname)) || operstate === "UP"),
  );
}

/** Removes a VF that is in a pod as net1 from the node; the answer plugs it in again, as it was before ADD. */
export async function unplug(host: Netns, sysfs: SysfsTree, vf: Vf, pod: Netns): Promise<() => Promise<void>> {
  const { pci, netdev } = vf;
  const [port] = await host.show("link", "show", `${netdev}p`);
  const [link] = await pod.show("link", "show", "net1");
  const show = sysfs.hide(pci);
  await pod.batch(["link del net1"]);
  return async () => {
    show();
    const end = (l = {} as Record<string, unknown>) => `index ${l["ifindex"]} address ${l["address"]}`;
    await host.batch([
      `link add ${netdev} ${end(link)} type veth peer name ${netdev}p ${end(port)}`,
      `link set ${netdev}p up`,
    ]);
  };
}

/** Renames the link of a PF, in sysfs too. */
export async function renamePf(host: Netns, sysfs: SysfsTree, from: string, to: string): Promise<void> {
  await host.batch([`link set ${from} down`, `link set ${from} name ${to}`, `link set ${to} up`]);
  const { pci } = RAILS.find((pf) => sysfs.hasNetdev(pf.pci, from))!;
  sysfs.removeNetdev(pci, from);
  sysfs.addNetdev(pci, to);
}
