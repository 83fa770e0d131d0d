import { mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { SysfsTree } from "../../../lab/netns/sysfs-tree.ts";

export interface FakePf {
  readonly pci: string;
  readonly netdev: string;
  readonly vendor?: string;
  readonly driver?: string;
  readonly totalVfs?: number;
  readonly numaNode?: number;
}

/** A sysfs with PFs whose VFs can be made and removed, as a kernel does when `sriov_numvfs` is written. */
export class PfTree extends SysfsTree {
  readonly #vfs = new Map<string, string[]>();

  addPf({ pci, netdev, vendor = "15b3", driver = "mlx5_core", totalVfs = 8, numaNode = -1 }: FakePf): void {
    this.add({ pci, netdev, driver });
    this.file(pci, "vendor", `0x${vendor}\n`);
    this.file(pci, "numa_node", `${numaNode}\n`);
    this.file(pci, "sriov_totalvfs", `${totalVfs}\n`);
    this.file(pci, "sriov_numvfs", "0\n");
    this.file(pci, "sriov_drivers_autoprobe", "1\n");
    this.setCarrier(netdev, true);
  }

  /** Anything below the folder of a function. */
  file(pci: string, path: string, text: string): void {
    mkdirSync(join(this.path(pci), path, ".."), { recursive: true });
    writeFileSync(join(this.path(pci), path), text);
  }

  /** Switchdev mode: links that stand for the VFs, beside the PF's own and before it in the directory. */
  addRepresentors(pf: string, netdev: string): void {
    for (const [name, port] of [
      [netdev, "p0"],
      ["a_rep0", "pf0vf0"],
      ["a_rep1", "pf0vf1"],
    ] as const)
      this.file(pf, `net/${name}/phys_port_name`, `${port}\n`);
  }

  numVfs(pf: string): string {
    return readFileSync(join(this.path(pf), "sriov_numvfs"), "utf8").trim();
  }

  vfs(pf: string): readonly string[] {
    return this.#vfs.get(pf) ?? [];
  }

  /** What the kernel does: removes all VFs, or makes some; refuses a number in place of another. */
  writeNumVfs(pf: string, count: number, { links = true } = {}): void {
    const before = this.vfs(pf);
    if (count > 0 && before.length > 0) throw Object.assign(new Error("EBUSY: busy"), { code: "EBUSY" });
    for (const [i, vf] of before.entries()) this.#removeVf(pf, vf, i);
    const bus = pf.slice(0, "0000:a0:".length);
    const made = Array.from(
      { length: count },
      (_, i) => `${bus}${(2 + (i >> 3)).toString(16).padStart(2, "0")}.${i & 7}`,
    );
    for (const [i, vf] of made.entries()) this.#makeVf(pf, vf, i, links);
    this.#vfs.set(pf, made);
    this.file(pf, "sriov_numvfs", `${count}\n`);
  }

  /** The name that a VF's link has on the host. */
  linkOf(vf: string): string {
    return `v${vf.replace(/\W/g, "")}`.slice(0, 15);
  }

  #makeVf(pf: string, vf: string, index: number, links: boolean): void {
    this.add({ pci: vf, ...(links && { netdev: this.linkOf(vf), driver: "mlx5_core" }) });
    this.file(vf, "numa_node", readFileSync(join(this.path(pf), "numa_node"), "utf8"));
    symlinkSync(`../${vf}`, join(this.path(pf), `virtfn${index}`));
    symlinkSync(`../${pf}`, join(this.path(vf), "physfn"));
  }

  #removeVf(pf: string, vf: string, index: number): void {
    rmSync(join(this.path(pf), `virtfn${index}`));
    rmSync(join(this.root, "class/net", this.linkOf(vf)), { force: true });
    rmSync(join(this.root, "bus/pci/devices", vf));
    rmSync(this.path(vf), { recursive: true });
  }
}
