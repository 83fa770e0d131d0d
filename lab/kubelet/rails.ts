import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { SysfsTree } from "../netns/sysfs-tree.ts";
import type { Node } from "./node.ts";

/** A VF, or its substitute: one end of a veth pair, whose other end is a port of the rail's switch. */
export interface Vf {
  readonly pci: string;
  readonly netdev: string;
  readonly mac: string;
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
      mac: `02:a${rail}:00:00:00:${i.toString(16).padStart(2, "0")}`,
    })),
  }));
}

/** Puts them into a node: links, a bridge a rail that is its switch, and sysfs. */
export async function plugInRails(node: Node, rails: readonly Rail[]): Promise<void> {
  const sysfs = new SysfsTree(node.path("/sys"));
  for (const { name, pci, vfs } of rails) {
    for (const vf of vfs) sysfs.add({ pci: vf.pci, netdev: vf.netdev, driver: "iavf" });
    sysfs.add({ pci, netdev: name, driver: "ice" });
    node.write(`/sys/class/net/${name}/operstate`, "up\n");
    sysfs.setVfs(
      pci,
      vfs.map((vf) => vf.pci),
    );
  }
  const links = rails.flatMap(({ name, vfs }) => [
    `link add ${name}sw type bridge`,
    `link set ${name}sw up`,
    ...pair(name, name),
    `link set ${name} mtu 9000 up`,
    ...vfs.flatMap((vf) => vfPair(name, vf)),
  ]);
  await batch(node, links);
}

/**
 * Does what the kernel does for a VF: when its namespace ends it returns to the host, whereas a veth pair is then gone.
 *
 * @returns a function that ends this.
 */
export function letVfsFallBack(node: Node, rails: readonly Rail[]): () => void {
  const enter = ["--pdeathsig", "KILL", "nsenter", `--net=/proc/${node.pid}/ns/net`]; // it ends with the test
  const monitor = spawn("setpriv", [...enter, "ip", "-o", "monitor", "link"], { stdio: ["ignore", "pipe", "ignore"] });
  const lost = new Map<string, string[]>(
    rails.flatMap(({ name, vfs }) => vfs.map((vf) => [`${vf.netdev}p`, vfPair(name, vf)] as const)),
  );
  createInterface({ input: monitor.stdout }).on("line", (line) => {
    const pair = lost.get(/^Deleted \d+: ([^@:]+)/.exec(line)?.[1] ?? "");
    if (pair) batch(node, pair).catch(() => {}); // the node ends
  });
  monitor.unref();
  return () => void monitor.kill();
}

const vfPair = (rail: string, { netdev, mac }: Vf): string[] => pair(rail, netdev, `address ${mac} `);

const pair = (rail: string, link: string, more = ""): string[] => [
  `link add ${link} ${more}type veth peer name ${link}p`,
  `link set ${link}p master ${rail}sw up`,
];

async function batch(node: Node, lines: readonly string[]): Promise<void> {
  const { exit, stderr } = await node.run(["ip", "-batch", "-"], { stdin: lines.join("\n") });
  if (exit !== 0) throw new Error(`cannot plug in: ${stderr}`);
}
