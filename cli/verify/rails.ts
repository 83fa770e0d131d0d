import { existsSync } from "node:fs";
import { join } from "node:path";
import { Debts } from "../../cni/attachment/debts.ts";
import { hostUseOfVf } from "../../cni/attachment/host-use.ts";
import { Journal } from "../../cni/attachment/journal.ts";
import type { Host } from "../../cni/host.ts";
import { KUBELET_CHECKPOINT, readKubeletDevices } from "../../cni/kubelet-devices.ts";
import { REFERENCES, readReferences } from "../../cni/reference.ts";
import { deviceInfoDirOf, isPromised } from "../../daemonset/device-plugin/device-info.ts";
import { railFilesIn, readListed } from "../../daemonset/rail-network/file.ts";
import { listPfFacts, nameOf, type RailHere, selectPfs } from "../../daemonset/rails/select.ts";
import { isIn } from "../../daemonset/rails/vf-range.ts";
import { linkCalled } from "../../kernel/link.ts";
import { netdevOf, vfsOf } from "../../kernel/sysfs.ts";

/** A rail that is going to be proven. */
export interface RailToVerify {
  readonly rail: string;
  /** `ens1 (0000:18:00.0)`. */
  readonly pf: string;
  readonly pfPci: string;
  /** PCI addresses of two free VFs, of one, or of none. */
  readonly vfs: readonly string[];
  /** Settings of the network of its pods, without addresses. */
  readonly config: Readonly<Record<string, unknown>>;
}

export interface RailsToVerify {
  readonly rails: readonly RailToVerify[];
  /** Rails of the list that this node does not have, and why. */
  readonly absent: readonly { readonly rail: string; readonly why: string }[];
}

/** Two of them exchange a packet. */
const WANTED = 2;

/**
 * The rails of this node with VFs that nobody has: no record or debt, no use by the host, not given to a pod by the kubelet. The
 * last ones, which it gives last.
 *
 * @throws {Error} when the list, or what the kubelet gave, cannot be read.
 */
export function railsToVerify(
  host: Host,
  { configDir, kubeletDir }: { readonly configDir: string; readonly kubeletDir: string },
): RailsToVerify {
  const { sysfs, stateDir } = host.paths;
  const { rails, refused } = readListed(railFilesIn(configDir, stateDir));
  const { here, absent } = selectPfs(rails, listPfFacts(sysfs), (altname) => linkCalled(altname, host.rtnl)?.name);
  const isFree = freeIn(host, kubeletDir);
  return {
    rails: here.map((one) => ({
      rail: one.rail.name,
      pf: nameOf(one.pf),
      pfPci: one.pf.pci,
      vfs: vfsOf(sysfs, one.pf.pci).filter((_, index) => isIn(index, one.ranges)).filter(isFree).toReversed().slice(0, WANTED), // biome-ignore format: one row
      config: configOf(one, stateDir),
    })),
    absent: [...refused, ...absent],
  };
}

function freeIn({ paths, rtnl }: Host, kubeletDir: string): (vf: string) => boolean {
  const { sysfs, stateDir } = paths;
  const taken = new Set([...new Journal(stateDir).devices(), ...new Debts(stateDir).devices(), ...givenByKubelet(kubeletDir)]); // biome-ignore format: one row
  return (vf) =>
    !taken.has(vf) &&
    netdevOf(sysfs, vf) !== undefined &&
    !isPromised(deviceInfoDirOf(paths), vf) &&
    hostUseOfVf(vf, sysfs, rtnl) === undefined;
}

/** Also to pods that have ended: it forgets them late. */
function givenByKubelet(dir: string): string[] {
  const file = join(dir, KUBELET_CHECKPOINT);
  return existsSync(file) ? readKubeletDevices(file).flatMap(({ ids }) => ids.flatMap((id) => id.split(","))) : [];
}

/** What the RailNetwork says for its pods, or what follows from the list. */
function configOf({ rail }: RailHere, stateDir: string): Readonly<Record<string, unknown>> {
  const referred = existsSync(join(stateDir, REFERENCES)) ? readReferences(join(stateDir, REFERENCES)) : [];
  const own = referred.flatMap(({ rails }) => rails.filter(({ name }) => name === rail.name))[0]?.config;
  const { ipam: _, ...settings } = own ?? { rdma: rail.rdma ? "required" : "auto", ...(rail.mtu && { mtu: rail.mtu }) };
  return settings;
}
