import { SysfsTree } from "../../../netns/support/sysfs-tree.ts";
import type { Node } from "./node.ts";

/** A VF, or what stands in for it: one end of a veth pair, whose other end is a port of the rail's switch. */
export interface Vf {
  readonly pci: string;
  readonly netdev: string;
}

/** A PF with its VFs; `rail0` is its name and its link's, `0000:a0:00.0` its PCI address. */
export interface Rail {
  readonly name: string;
  readonly pci: string;
  readonly vfs: readonly Vf[];
}

/** Four rails as on a GPU node, with so many VFs each. */
export function listRails(vfs: number): Rail[] {
  return [0, 1, 2, 3].map((rail) => ({
    name: `rail${rail}`,
    pci: `0000:a${rail}:00.0`,
    vfs: Array.from({ length: vfs }, (_, i) => ({
      pci: `0000:a${rail}:${(2 + (i >> 3)).toString(16).padStart(2, "0")}.${i & 7}`,
      netdev: `rail${rail}v${i}`,
    })),
  }));
}

/** Puts them into a node: links, a bridge a rail that is its switch, and sysfs. */
export async function plugInRails(node: Node, rails: readonly Rail[]): Promise<void> {
  const sysfs = new SysfsTree(node.path("/sys"));
  for (const { name, pci, vfs } of rails) {
    for (const vf of vfs) sysfs.add({ ...vf, driver: "iavf" });
    sysfs.add({ pci, netdev: name, driver: "ice" });
    node.write(`/sys/class/net/${name}/carrier`, "1\n");
    sysfs.setVfs(pci, vfs.map((vf) => vf.pci)); // biome-ignore format: one line
  }
  const links = rails.flatMap(({ name, vfs }) => [
    `link add ${name}sw type bridge`,
    `link set ${name}sw up`,
    ...[name, ...vfs.map(({ netdev }) => netdev)].flatMap((link) => pair(name, link)),
    `link set ${name} mtu 9000 up`,
  ]);
  await batch(node, links);
}

/** Makes a VF's link anew: a VF falls back to the host when its namespace ends, what stands in for it is gone. */
export async function replug(node: Node, rail: Rail, { netdev }: Vf): Promise<void> {
  await batch(node, pair(rail.name, netdev));
}

const pair = (rail: string, link: string): string[] => [
  `link add ${link} type veth peer name ${link}p`,
  `link set ${link}p master ${rail}sw up`,
];

async function batch(node: Node, lines: readonly string[]): Promise<void> {
  const { exit, stderr } = await node.run(["ip", "-batch", "-"], { stdin: lines.join("\n") });
  if (exit !== 0) throw new Error(`cannot plug in: ${stderr}`);
}
