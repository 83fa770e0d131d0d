import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What stands below `/sys/bus/pci/devices/<address>`. */
export interface PciFunction {
  readonly pci: string;
  /** Its network interface. */
  readonly netdev?: string;
  readonly driver?: string;
  /** Names below `infiniband/`. */
  readonly rdma?: readonly string[];
}

/** A sysfs of PCI functions, as the kernel lays it out: `bus/pci/devices` is links into `devices`. */
export class SysfsTree {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
    for (const dir of ["bus/pci/devices", "bus/pci/drivers", "class/net"])
      mkdirSync(join(root, dir), { recursive: true });
  }

  path(pci: string): string {
    return join(this.root, "devices/pci0000:a0", pci);
  }

  add({ pci, netdev, driver, rdma = [] }: PciFunction): void {
    mkdirSync(this.path(pci), { recursive: true });
    symlinkSync(`../../../devices/pci0000:a0/${pci}`, join(this.root, "bus/pci/devices", pci));
    for (const name of rdma) mkdirSync(join(this.path(pci), "infiniband", name), { recursive: true });
    if (netdev) this.addNetdev(pci, netdev);
    if (driver) this.bind(pci, driver);
  }

  addNetdev(pci: string, netdev: string): void {
    mkdirSync(join(this.path(pci), "net", netdev), { recursive: true });
    symlinkSync(`../../devices/pci0000:a0/${pci}/net/${netdev}`, join(this.root, "class/net", netdev));
    symlinkSync("../..", join(this.path(pci), "net", netdev, "device"));
  }

  /** What the kernel calls its link. */
  netdevOf(pci: string): string {
    return readdirSync(join(this.path(pci), "net"))[0]!;
  }

  hasNetdev(pci: string, netdev: string): boolean {
    return existsSync(join(this.path(pci), "net", netdev));
  }

  /** As if the link had gone to another namespace, or its driver away. */
  removeNetdev(pci: string, netdev: string): void {
    rmSync(join(this.root, "class/net", netdev));
    rmSync(join(this.path(pci), "net"), { recursive: true });
  }

  /** As if its PF's `sriov_numvfs` had become 0; the answer undoes that. */
  hide(pci: string): () => void {
    const entry = join(this.root, "bus/pci/devices", pci);
    renameSync(entry, `${this.root}/hidden`);
    return () => renameSync(`${this.root}/hidden`, entry);
  }

  /** Makes `pf` a physical function with these VFs, the others of the tree included before. */
  setVfs(pf: string, vfs: readonly string[]): void {
    writeFileSync(join(this.path(pf), "sriov_totalvfs"), "64\n");
    writeFileSync(join(this.path(pf), "sriov_numvfs"), `${vfs.length}\n`);
    vfs.forEach((vf, i) => {
      symlinkSync(`../${vf}`, join(this.path(pf), `virtfn${i}`));
      symlinkSync(`../${pf}`, join(this.path(vf), "physfn"));
    });
  }

  /** A driver takes a function, from another one if it has one. */
  bind(pci: string, driver: string): void {
    this.unbind(pci);
    mkdirSync(join(this.root, "bus/pci/drivers", driver), { recursive: true });
    symlinkSync(`../../../bus/pci/drivers/${driver}`, join(this.path(pci), "driver"));
  }

  unbind(pci: string): void {
    rmSync(join(this.path(pci), "driver"), { force: true });
  }

  setCarrier(netdev: string, on: boolean): void {
    writeFileSync(join(this.root, "class/net", netdev, "operstate"), on ? "up\n" : "lowerlayerdown\n");
  }

  setMaster(netdev: string, master: string): void {
    symlinkSync(`../${master}`, join(this.root, "class/net", netdev, "master"));
  }
}
