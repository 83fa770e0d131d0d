import { fstatSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { ifinfomsg, parseLink } from "../../../../kernel/link.ts";
import { attribute, attributes, nested, text, u32 } from "../../../../kernel/netlink/attribute.ts";
import { macBytes } from "../../../../kernel/netlink/mac-bytes.ts";
import { decodeReplies, type Reply } from "../../../../kernel/netlink/message.ts";
import { parseVfs, setVf, type VfState } from "../../../../kernel/vf.ts";
import type { SysfsTree } from "../../../../lab/netns/sysfs-tree.ts";
import type { RdmaNode } from "../../attachment/support/rdma-node.ts";
import { type DoubleLink, Errno, type Nic, type Vf, VirtualClock } from "./nic.ts";

/** include/uapi/asm-generic/errno-base.h, errno.h, and ENOTSUPP. */
const NUMBERS: Record<string, number> = { EPERM: 1, ENOENT: 2, EIO: 5, EAGAIN: 11, EACCES: 13, EBUSY: 16, EEXIST: 17, ENODEV: 19, EINVAL: 22, EPROTONOSUPPORT: 93, EOPNOTSUPP: 95, EADDRNOTAVAIL: 99, ENETDOWN: 100, ETIMEDOUT: 110, ENOTSUPP: 524 }; // biome-ignore format: one row
const NLMSG_ERROR = 2;
const NLMSG_DONE = 3;
const NLM_F_DUMP = 0x300;
const NLM_F_CAPPED = 0x100;
const RTM = { NEWLINK: 16, DELLINK: 17, GETLINK: 18, SETLINK: 19, NEWADDR: 20, DELADDR: 21, GETADDR: 22, NEWROUTE: 24, DELROUTE: 25, GETROUTE: 26, GETRULE: 34, NEWLINKPROP: 108, DELLINKPROP: 109 } as const; // biome-ignore format: one row
const IFLA_LINKINFO = 18;
const IFLA_INFO_KIND = 1;
const IFLA_NUM_VF = 21;
const IFLA_VFINFO_LIST = 22;
const IFLA_NET_NS_FD = 28;
const IFLA_EXT_MASK = 29;
const IFLA_PERM_ADDRESS = 54;
const IFLA_PARENT_DEV_NAME = 56;
const IFLA_PROP_LIST = 52;
const IFLA_ALT_IFNAME = 53;
const IFF_UP = 1;
/** IFF_RUNNING and IFF_LOWER_UP. */
const CARRIER = 0x10040;
/** IFF_BROADCAST and IFF_MULTICAST. */
const MULTICAST = 0x1002;
const NETLINK_GENERIC = 16;
const RDMA_SYS_GET = (5 << 10) + 6;
const RDMA_GET = (5 << 10) + 1;

interface Namespace {
  readonly path: string;
  readonly inode: number;
  readonly links: Map<number, DoubleLink>;
  addresses: { readonly index: number; readonly body: Buffer }[];
  routes: Buffer[];
}

/** Stands for the host's namespace: the same file for all kernels, since a thread opens its own only once. */
const HOST_FILE = join(mkdtempSync(join(tmpdir(), "railnet-double-")), "host");
process.on("exit", () => rmSync(dirname(HOST_FILE), { recursive: true }));

let running: DoubleKernel | undefined;

/** The kernel that the product talks to now. */
export const kernel = (): DoubleKernel => running!;

/** Network namespaces, links and their netlink, as far as ADD and DEL use them; NICs are {@link Nic}s. */
export class DoubleKernel {
  readonly clock = new VirtualClock();
  readonly host: Namespace;
  here: Namespace;
  readonly nics: Nic[] = [];
  readonly #namespaces = new Map<number, Namespace>();
  readonly #sysfs: SysfsTree;
  #nextIndex = 100;
  /** RDMA devices, in exclusive mode; absent: shared mode, none. */
  rdma: RdmaNode | undefined;
  /** Called before a link is moved: what a pod does at that moment. */
  onMove: (from: Namespace) => void = () => {};

  constructor(sysfs: SysfsTree) {
    this.#sysfs = sysfs;
    this.host = this.addNamespace(HOST_FILE);
    this.here = this.host;
    running = this;
  }

  addNamespace(path: string): Namespace {
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(path, "");
    const inode = statSync(path).ino;
    const namespace: Namespace = { path, inode, links: new Map(), addresses: [], routes: [] };
    this.#namespaces.set(inode, namespace);
    return namespace;
  }

  /** Its physical links fall back, down, under the names that they have, or as `dev7` where the host has such a name. */
  removeNamespace(namespace: Namespace): void {
    const inHost = () => [...this.host.links.values()].flatMap(({ name, altnames }) => [name, ...altnames]);
    for (const link of [...namespace.links.values()].filter(({ pci }) => pci)) {
      link.altnames = link.altnames.filter((name) => !inHost().includes(name));
      this.#move(link, namespace, this.host, inHost().includes(link.name) ? `dev${this.#nextIndex++}` : link.name);
    }
    this.#namespaces.delete(namespace.inode);
  }

  /** The driver recovers: its link is gone, wherever it was, and there is another one on the host. */
  remake(vf: Vf, name: string, mac: string): void {
    const from = [...this.#namespaces.values()].find(({ links }) => links.get(vf.link.index) === vf.link)!;
    from.links.delete(vf.link.index);
    from.addresses = from.addresses.filter((a) => a.index !== vf.link.index);
    from.routes = [];
    vf.link = this.addLink(name, vf.link.pci, mac);
    this.#sysfs.addNetdev(vf.link.pci, name);
  }

  addLink(name: string, pci: string, mac: string): DoubleLink {
    const link: DoubleLink = { index: this.#nextIndex++, name, mac, mtu: 1500, alias: "", altnames: [], up: false, type: 1, pci, permMac: mac }; // biome-ignore format: one row
    this.host.links.set(link.index, link);
    return link;
  }

  /** What a pod makes for itself. */
  addVirtual(ns: Namespace, link: { index: number; name: string; mac: string; alias: string }): void {
    const rest = { mtu: 1500, altnames: [], up: false, type: 1, pci: "", permMac: "00:00:00:00:00:00", kind: "dummy" };
    ns.links.set(link.index, { ...link, ...rest });
  }

  /** What a pod does with a link of its own, into a namespace of its own. */
  move(link: DoubleLink, from: Namespace, to: Namespace): void {
    this.#move(link, from, to);
  }

  isNamespace = (fd: number): boolean => this.#namespaces.has(fstatSync(fd).ino);

  enter(fd: number): void {
    this.here = this.#namespaceOf(fd);
  }

  /** A socket of the namespace that the thread is in. */
  socket(protocol: number): { send(datagram: Buffer): void; receive(): Buffer } {
    const namespace = this.here;
    const queue: Buffer[] = [];
    return {
      send: (datagram) => {
        for (const request of decodeReplies(datagram)) queue.push(...this.#answer(namespace, request, protocol));
      },
      receive: () => queue.shift() ?? Buffer.alloc(0),
    };
  }

  #namespaceOf(fd: number): Namespace {
    const namespace = this.#namespaces.get(fstatSync(fd).ino);
    if (!namespace) throw new Errno("EINVAL");
    return namespace;
  }

  #answer(ns: Namespace, request: Reply, protocol: number): Buffer[] {
    try {
      const isDump = (request.flags & NLM_F_DUMP) === NLM_F_DUMP && (protocol !== 0 || isGet(request.type));
      if (protocol === NETLINK_GENERIC) throw new Errno("ENOENT"); // an old kernel: no ethtool family
      const bodies = protocol === 0 ? this.#route(ns, request, isDump) : this.#askRdma(ns, request);
      if (isDump) return [...bodies.map((b) => reply(request, b.type, b.body)), reply(request, NLMSG_DONE, ok())];
      if (bodies.length > 0) return bodies.map((b) => reply(request, b.type, b.body));
      return [acknowledge(request, 0)];
    } catch (error) {
      if (!(error instanceof Errno)) throw error;
      return [acknowledge(request, NUMBERS[error.code]!)];
    }
  }

  #askRdma(ns: Namespace, request: Reply): { type: number; body: Buffer }[] {
    const { type } = request;
    if (!this.rdma) return rdma(request);
    try {
      return this.rdma.answer(ns.inode, request).map((body) => ({ type, body }));
    } catch (error) {
      throw new Errno((error as { code: keyof typeof NUMBERS }).code);
    }
  }

  #route(ns: Namespace, { type, body }: Reply, isDump: boolean): { type: number; body: Buffer }[] {
    const newLink = (link: DoubleLink, mask: number) => ({ type: RTM.NEWLINK, body: this.#encode(link, mask) });
    if (type === RTM.GETLINK && isDump) return [...ns.links.values()].map((link) => newLink(link, 0));
    if (type === RTM.GETLINK) return [newLink(this.#find(ns, body), maskOf(body))];
    if (type === RTM.DELLINK) ns.links.delete(this.#find(ns, body).index);
    else if (type === RTM.SETLINK) {
      if (attributes(body.subarray(16)).some((a) => a.type === IFLA_NET_NS_FD)) this.onMove(ns);
      this.#change(ns, this.#find(ns, body), body);
    } else if (type === RTM.NEWLINKPROP || type === RTM.DELLINKPROP) this.#altname(ns, body, type === RTM.NEWLINKPROP);
    else if (type === RTM.NEWADDR) ns.addresses.push({ index: body.readInt32LE(4), body: Buffer.from(body) });
    else if (type === RTM.DELADDR) ns.addresses = ns.addresses.filter((a) => a.index !== body.readInt32LE(4));
    else if (type === RTM.GETADDR) return ns.addresses.map((a) => ({ type: RTM.NEWADDR, body: a.body }));
    else if (type === RTM.NEWROUTE) this.#addRoute(ns, body);
    else if (type === RTM.GETROUTE) return isDump ? ns.routes.map((r) => ({ type: RTM.NEWROUTE, body: r })) : [];
    else if (type !== RTM.DELROUTE && type !== RTM.GETRULE) throw new Errno("EOPNOTSUPP");
    return [];
  }

  /** A route wants its link up. */
  #addRoute(ns: Namespace, body: Buffer): void {
    const oif = attributes(body.subarray(12))
      .find((a) => a.type === 4)
      ?.data.readUInt32LE(0);
    if (!ns.links.get(oif ?? 0)?.up) throw new Errno("ENETDOWN");
    if (ns.routes.some((route) => route.equals(body))) throw new Errno("EEXIST");
    ns.routes.push(Buffer.from(body));
  }

  #find(ns: Namespace, body: Buffer): DoubleLink {
    const index = body.readInt32LE(4);
    const named = attributes(body.subarray(16)).find((a) => a.type === 3 || a.type === IFLA_ALT_IFNAME);
    const name = named?.data.toString("utf8", 0, named.data.length - 1);
    const isIt = (link: DoubleLink) =>
      index > 0 ? link.index === index : [link.name, ...link.altnames].includes(name!);
    const link = [...ns.links.values()].find(isIt);
    if (!link) throw new Errno("ENODEV");
    return link;
  }

  #altname(ns: Namespace, body: Buffer, add: boolean): void {
    const link = this.#find(ns, Buffer.from(body.subarray(0, 16)));
    const [name] = parseLink(body).altnames;
    link.altnames = link.altnames.filter((other) => other !== name);
    if (add) link.altnames.push(name!);
  }

  /** In the order of `do_setlink()`: namespace, MAC, MTU, name, alias, flags, VFs. */
  #change(ns: Namespace, link: DoubleLink, body: Buffer): void {
    const wanted = new Map(attributes(body.subarray(16)).map((a) => [a.type, a.data]));
    const parsed = parseLink(body);
    const nic = this.nics.find(({ pf, vfs }) => pf === link || vfs.some((vf) => vf.link === link)) ?? this.nics[0]!;
    const vf = nic.vfs.find((one) => one.link === link);
    const target = wanted.has(IFLA_NET_NS_FD) ? this.#namespaceOf(wanted.get(IFLA_NET_NS_FD)!.readUInt32LE(0)) : ns;
    if (target !== ns) this.#move(link, ns, target, wanted.has(3) ? parsed.name : undefined);
    if (wanted.has(1) && vf) nic.setLinkMac(vf, parsed.mac);
    if (wanted.has(4) && vf) nic.setMtu(vf, parsed.mtu);
    if (wanted.has(3)) this.#rename(link, target, parsed.name);
    if (wanted.has(20)) link.alias = wanted.get(20)!.toString().replace(/\0$/, "");
    const [flags, changed] = [body.readUInt32LE(8), body.readUInt32LE(12)];
    if (changed & IFF_UP && vf) nic.setUp(vf, (flags & IFF_UP) !== 0);
    if (wanted.has(IFLA_VFINFO_LIST)) for (const [index, state] of settingsOf(body)) nic.set(index, state);
  }

  #rename(link: DoubleLink, ns: Namespace, name: string): void {
    if (link.name === name) return;
    const taken = [...ns.links.values()].flatMap((other) => [
      ...(other === link ? [] : [other.name]),
      ...other.altnames,
    ]);
    if (taken.includes(name)) throw new Errno("EEXIST");
    if (ns === this.host && link.pci) this.#sysfs.removeNetdev(link.pci, link.name);
    link.name = name;
    if (ns === this.host && link.pci) this.#sysfs.addNetdev(link.pci, name);
  }

  #move(link: DoubleLink, from: Namespace, to: Namespace, name = link.name): void {
    const taken = [...to.links.values()].flatMap((other) => [other.name, ...other.altnames]);
    if ([name, ...link.altnames].some((one) => taken.includes(one))) throw new Errno("EEXIST");
    const nic = this.nics.find(({ vfs }) => vfs.some((vf) => vf.link === link));
    const vf = nic?.vfs.find((one) => one.link === link);
    if (vf) nic!.setUp(vf, false);
    if (from === this.host && link.pci) this.#sysfs.removeNetdev(link.pci, link.name);
    from.links.delete(link.index);
    from.addresses = from.addresses.filter((a) => a.index !== link.index);
    link.name = name;
    if (to.links.has(link.index)) link.index = this.#nextIndex++;
    to.links.set(link.index, link);
    if (to === this.host && link.pci) this.#sysfs.addNetdev(link.pci, name);
  }

  #encode(link: DoubleLink, mask: number): Buffer {
    const nic = this.nics.find(({ pf }) => pf === link);
    const header = ifinfomsg(link.index, MULTICAST | (link.up ? IFF_UP | CARRIER : 0));
    header.writeUInt16LE(link.type, 2);
    const altnames = link.altnames.map((name) => text(IFLA_ALT_IFNAME, name));
    return Buffer.concat([
      header,
      text(3, link.name),
      attribute(1, macBytes(link.mac)),
      attribute(IFLA_PERM_ADDRESS, macBytes(link.permMac)),
      u32(4, link.mtu),
      ...(link.pci ? [text(IFLA_PARENT_DEV_NAME, link.pci)] : []),
      ...(link.kind ? [nested(IFLA_LINKINFO, [text(IFLA_INFO_KIND, link.kind)])] : []),
      ...(link.alias ? [text(20, link.alias)] : []),
      ...(altnames.length > 0 ? [nested(IFLA_PROP_LIST, altnames)] : []),
      ...(nic && mask & 1 ? vfList(nic) : []),
    ]);
  }
}

const isGet = (type: number): boolean => type % 4 === 2;

const maskOf = (body: Buffer): number =>
  attributes(body.subarray(16))
    .find((a) => a.type === IFLA_EXT_MASK)
    ?.data.readUInt32LE(0) ?? 0;

function vfList(nic: Nic): Buffer[] {
  const infos = [...nic.list()].map(([i, state]) => Buffer.from(setVf(0, i, state).body).subarray(20));
  return [u32(IFLA_NUM_VF, nic.vfs.length), nested(IFLA_VFINFO_LIST, infos)];
}

/** Which settings a request names: by attribute, include/uapi/linux/if_link.h. */
const FIELDS: Record<number, readonly (keyof VfState)[]> = {
  1: ["mac"],
  4: ["spoofchk"],
  5: ["linkState"],
  6: ["minTxRate", "maxTxRate"],
  9: ["trust"],
  12: ["vlan", "qos", "proto"],
};

function settingsOf(body: Buffer): [number, Partial<VfState>][] {
  const list = attributes(body.subarray(16)).find((a) => a.type === IFLA_VFINFO_LIST)!;
  const named = attributes(list.data).flatMap((info) => attributes(info.data).flatMap((a) => FIELDS[a.type]!));
  return [...parseVfs(body)].map(([index, all]) => [
    index,
    Object.fromEntries(named.map((key) => [key, all[key]])) as Partial<VfState>,
  ]);
}

/** Shared mode, no devices: RDMA has tests of its own. */
function rdma({ type }: Reply): { type: number; body: Buffer }[] {
  if (type === RDMA_SYS_GET) return [{ type, body: attribute(66, Buffer.from([1])) }];
  if (type === RDMA_GET) return [];
  throw new Errno("EOPNOTSUPP");
}

const ok = (): Buffer => Buffer.alloc(4);

function acknowledge(request: Reply, errno: number): Buffer {
  const body = Buffer.alloc(20);
  body.writeInt32LE(-errno, 0);
  return reply(request, NLMSG_ERROR, body, NLM_F_CAPPED);
}

function reply({ seq }: Reply, type: number, body: Buffer, flags = 0): Buffer {
  const bytes = Buffer.alloc((16 + body.length + 3) & ~3);
  bytes.writeUInt32LE(16 + body.length, 0);
  bytes.writeUInt16LE(type, 4);
  bytes.writeUInt16LE(flags, 6);
  bytes.writeUInt32LE(seq, 8);
  body.copy(bytes, 16);
  return bytes;
}
