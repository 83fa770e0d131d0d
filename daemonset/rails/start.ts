import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { tryLockDevice } from "../../cni/attachment/exclusion.ts";
import { hostUseOfVf } from "../../cni/attachment/host-use.ts";
import { lockRdma } from "../../cni/attachment/lock-rdma.ts";
import { setAdminMac } from "../../cni/attachment/mac.ts";
import { readBootId } from "../../cni/boot-id.ts";
import type { Log, Paths } from "../../cni/host.ts";
import { getLink, parseLink, setLink } from "../../cni/kernel/link.ts";
import { NetlinkSocket } from "../../cni/kernel/netlink/socket.ts";
import { NETLINK_RDMA } from "../../cni/kernel/rdma.ts";
import { driverOf, netdevOf } from "../../cni/kernel/sysfs.ts";
import { parseVfs } from "../../cni/kernel/vf.ts";
import { CLOCK } from "../../cni/node-host.ts";
import { repeat } from "../loop.ts";
import { nameOfAltname } from "./altname.ts";
import { userOf } from "./in-use.ts";
import { RailKeeper } from "./keeper.ts";
import type { PfFacts, RailHere } from "./select.ts";

export interface RailsOptions {
  /** Key `rails` of the ConfigMap, as a file: `/etc/railnet/config/rails`. */
  readonly railsFile: string;
  readonly paths: Paths;
  readonly log: Log;
  /** Whether the kubelet gave a VF to a pod a moment ago, whose ADD is still to come. */
  readonly isPromised: (vf: string) => boolean;
  /** Where tests inject faults. */
  readonly step?: (step: string) => void;
}

/** The rails of this node. */
export interface Rails {
  here(): readonly RailHere[];
  stop(): void;
}

/**
 * Between two looks at configuration and PFs: polled, since a ConfigMap is a link to another directory each time, and
 * PFs come and go with their drivers. A look reads a few dozen small files.
 */
const LOOK_MS = 5_000;

/** Keeps the PFs of this node as the list of rails wants them, from now until stop(). */
export function startRails({ railsFile, paths, log, isPromised, step = () => {} }: RailsOptions): Rails {
  const { sysfs, stateDir } = paths;
  const stopping = new AbortController();
  const signs = { sysfs, stateDir, bootId: readBootId(), isPromised, hostUse: (vf: string) => hostUse(vf, sysfs) };
  const keeper = new RailKeeper({
    railsFile,
    sysfs,
    log,
    setNumVfs: async ({ pci }, count) => {
      using _lock = await lockRdma("VFS", { paths });
      await writeFile(join(sysfs, "bus/pci/devices", pci, "sriov_numvfs"), `${count}`, { flag: "r+" });
    },
    setUp,
    adminMacs,
    giveOwnMac: (pf, index, vf) => giveOwnMac(pf, index, netdevOf(sysfs, vf)),
    rebind: async (vf) => {
      using _lock = await lockRdma("VFS", { paths });
      await rebind(sysfs, vf);
    },
    nameOfAltname,
    userOf: (vf) => userOf(vf, signs),
    lock: (vf) => tryLockDevice(vf, { paths }),
    openRdma: () => new NetlinkSocket({ protocol: NETLINK_RDMA }),
    step,
    nowMs: () => performance.now(),
  });
  void repeat("rails", { everyMs: LOOK_MS, signal: stopping.signal, log }, () => keeper.look());
  return { here: () => keeper.here, stop: () => stopping.abort() };
}

function setUp(netdev: string): void {
  using rtnl = new NetlinkSocket();
  const { index, up } = parseLink(rtnl.request(getLink({ name: netdev }))!);
  if (!up) rtnl.request(setLink(index, { up: true }, `set ${netdev} up`));
}

function adminMacs({ name }: PfFacts): ReadonlyMap<number, string> {
  using rtnl = new NetlinkSocket();
  const body = rtnl.request(getLink({ name: name! }, { vfs: true }))!;
  return new Map([...parseVfs(body)].map(([index, { mac }]) => [index, mac]));
}

async function giveOwnMac({ name }: PfFacts, vf: number, netdev: string | undefined): Promise<void> {
  if (netdev === undefined) throw new Error("it has no link here whose MAC it could keep");
  using rtnl = new NetlinkSocket();
  const { index: pfIndex } = parseLink(rtnl.request(getLink({ name: name! }))!);
  const { mac } = parseLink(rtnl.request(getLink({ name: netdev }))!);
  await setAdminMac(rtnl, { pfIndex, vf }, mac, { clock: CLOCK });
}

/** Drivers make links a moment later. */
const LINK_MS = 30_000;

async function rebind(sysfs: string, vf: string): Promise<void> {
  const driver = driverOf(sysfs, vf);
  if (!driver) return;
  const write = (file: string) => writeFile(join(sysfs, "bus/pci/drivers", driver, file), vf, { flag: "r+" });
  await write("unbind");
  await write("bind");
  const end = CLOCK.nowMs() + LINK_MS;
  while (netdevOf(sysfs, vf) === undefined && CLOCK.nowMs() < end) await CLOCK.sleep(20);
}

function hostUse(vf: string, sysfs: string): string | undefined {
  using rtnl = new NetlinkSocket();
  return hostUseOfVf(vf, sysfs, rtnl);
}
