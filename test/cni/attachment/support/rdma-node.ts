import { existsSync, mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RdmaKernel } from "../../../../cni/attachment/rdma-devices.ts";
import { attribute, attributes, readText, readU32, text, u32 } from "../../../../kernel/netlink/attribute.ts";
import { type Message, type NetlinkConnection, NetlinkError, type Query } from "../../../../kernel/netlink/message.ts";
import type { Fd } from "../../../../kernel/syscall.ts";
import { SysfsTree } from "../../../../lab/netns/sysfs-tree.ts";

/** `RDMA_NLDEV_*`, include/uapi/rdma/rdma_netlink.h. */
const DEV_INDEX = 1;
const DEV_NAME = 2;
const NET_NS_FD = 68;

interface Device {
  readonly index: number;
  readonly pci: string;
  name: string;
  /** Descriptor of its namespace. */
  netns: number;
  uverbs: number;
}

const HOME = 3;
const RDMA_NL_NLDEV = 5 << 10;
const GET = RDMA_NL_NLDEV + 1;
const SET = RDMA_NL_NLDEV + 2;
const SYS_GET = RDMA_NL_NLDEV + 6;
const EXCLUSIVE = Buffer.from([0]);
const SYS_ATTR_NETNS_MODE = 66;

/**
 * The RDMA devices of a node as the kernel keeps them: `uverbsN` is the lowest free number at each move (`ib_uverbs_add_one`);
 * names are the node's, or with `namesPerNetns` (7.3, `rdma_dev_pick_netns_name`) a namespace's.
 */
export class RdmaNode implements RdmaKernel {
  readonly home: Fd;
  readonly tree: SysfsTree;
  readonly #namesPerNetns: boolean;
  readonly #keyOf: (fd: number) => number;
  readonly #devices: Device[] = [];
  #nextIndex = 0;

  /** @param keyOf what a namespace is known by, of its descriptor. */
  constructor(tree: string | SysfsTree, namesPerNetns: boolean, { home = HOME, keyOf = (fd: number) => fd } = {}) {
    this.tree = typeof tree === "string" ? new SysfsTree(tree) : tree;
    this.home = { n: home } as Fd;
    this.#namesPerNetns = namesPerNetns;
    this.#keyOf = keyOf;
  }

  /** A VF's device, and the VF where there is none. */
  add(pci: string, name: string): Device {
    if (!existsSync(this.tree.path(pci))) this.tree.add({ pci });
    const device = { index: this.#nextIndex++, pci, name, netns: this.home.n, uverbs: this.#lowestFree() };
    this.#devices.push(device);
    this.#show(device);
    return device;
  }

  /** Its driver takes a device away. */
  remove(device: Device): void {
    this.#devices.splice(this.#devices.indexOf(device), 1);
    for (const dir of ["infiniband", "infiniband_verbs"])
      rmSync(join(this.tree.path(device.pci), dir), { recursive: true, force: true });
  }

  within<T>(netns: Fd | undefined, work: (rdma: NetlinkConnection) => T): T {
    return work(new Namespace(this, netns?.n ?? this.home.n));
  }

  list(netns: number): Device[] {
    return this.#devices.filter((device) => device.netns === netns);
  }

  /** `rdma dev set NAME name AS`, by whoever is in that namespace. */
  rename(device: Device, as: string): void {
    const others = this.#devices.filter(
      (one) => one !== device && (!this.#namesPerNetns || one.netns === device.netns),
    );
    if (others.some(({ name }) => name === as)) throw new NetlinkError("rename", "EEXIST", "");
    device.name = as;
    this.#show(device);
  }

  move(device: Device, netns: number, as = device.name): void {
    if (netns === device.netns) return;
    if (this.#namesPerNetns && this.list(netns).some(({ name }) => name === as))
      throw new NetlinkError("move", "EEXIST", "");
    device.netns = netns;
    device.name = as;
    device.uverbs = -1;
    device.uverbs = this.#lowestFree();
    this.#show(device);
  }

  /** A namespace dies: its devices fall back, under a name of the kernel's if it gives names by namespace. */
  die(netns: number): void {
    for (const device of this.list(netns))
      this.move(device, this.home.n, this.#namesPerNetns ? `ibdev${device.index}` : device.name);
  }

  set(netns: number, body: Buffer): undefined {
    const all = attributes(body);
    const find = (type: number) => all.find((one) => one.type === type);
    const device = this.#devices.find(({ index }) => index === readU32(find(DEV_INDEX)!));
    if (!device || device.netns !== netns) throw new NetlinkError("change", device ? "EINVAL" : "ENODEV", "");
    const [name, to] = [find(DEV_NAME), find(NET_NS_FD)];
    if (name && (!to || !this.#namesPerNetns)) this.rename(device, readText(name));
    else if (to) this.move(device, this.#keyOf(readU32(to)), name && readText(name));
  }

  /** One message of a thread in a namespace. */
  answer(netns: number, { type, body }: { readonly type: number; readonly body: Buffer }): Buffer[] {
    if (type === SYS_GET) return [attribute(SYS_ATTR_NETNS_MODE, EXCLUSIVE)];
    if (type === SET) this.set(netns, body);
    return type === GET ? this.within({ n: netns } as Fd, (rdma) => rdma.dump({ what: "", type, body })) : [];
  }

  #lowestFree(): number {
    const taken = this.#devices.map(({ uverbs }) => uverbs);
    return [...taken.keys(), taken.length].find((number) => !taken.includes(number))!;
  }

  #show({ pci, name, netns, uverbs }: Device): void {
    const dir = this.tree.path(pci);
    for (const kind of ["infiniband", "infiniband_verbs"]) rmSync(join(dir, kind), { recursive: true, force: true });
    if (netns === this.home.n) mkdirSync(join(dir, "infiniband", name), { recursive: true });
    mkdirSync(join(dir, "infiniband_verbs", `uverbs${uverbs}`), { recursive: true });
    writeFileSync(join(dir, "infiniband_verbs", `uverbs${uverbs}`, "ibdev"), `${name}\n`);
  }
}

/** What a thread in one namespace can say to the kernel. */
class Namespace implements NetlinkConnection {
  readonly #node: RdmaNode;
  readonly #netns: number;

  constructor(node: RdmaNode, netns: number) {
    this.#node = node;
    this.#netns = netns;
  }

  get<T>({ message, parse }: Query<T>): T {
    return parse(this.request(message)!);
  }

  request({ body }: Message): undefined {
    return this.#node.set(this.#netns, Buffer.from(body));
  }

  batch(messages: readonly Message[]): undefined[] {
    return messages.map((message) => this.request(message));
  }

  dump(): Buffer[] {
    return this.#node
      .list(this.#netns)
      .map(({ index, name }) => Buffer.concat([u32(DEV_INDEX, index), text(DEV_NAME, name)]));
  }
}
