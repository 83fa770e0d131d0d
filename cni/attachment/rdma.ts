import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { hostNetns, inNetns } from "../../kernel/netns.ts";
import { NETLINK_RDMA, type RdmaDevice, rdmaNetnsMode } from "../../kernel/rdma.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { rdmaCharDevicesOf, rdmaDevicesOf } from "../../kernel/sysfs.ts";
import { ATTACH_CODE } from "../codes.ts";
import type { RdmaMode } from "../config.ts";
import type { Host } from "../host.ts";
import { CniError, CODE } from "../protocol/error.ts";
import type { Call } from "../protocol/request.ts";
import { lockRdma } from "./lock-rdma.ts";
import { bringRdmaHome, countRdma, moveIn, type RdmaKernel, rdmaAtHome } from "./rdma-devices.ts";
import { rdmaPromisedTo } from "./rdma-promise.ts";
import type { Attachment } from "./record.ts";

/** What to do with the RDMA devices of a VF. */
export interface RdmaPlan {
  readonly devices: readonly string[];
  /** In exclusive mode they go with the VF; in shared mode they are visible everywhere. */
  readonly move: boolean;
  /** In exclusive mode, the index of each. */
  readonly indices?: readonly number[];
}

const NONE: RdmaPlan = { devices: [], move: false };

/** How long a VF's RDMA device may take to come home: its last pod's namespace is dying, or udev is renaming it. */
const HOME_MS = 5_000;
/** The same for a DEL; what is not home by then is owed, and comes later. */
const RETURN_MS = 2_000;
const POLL_MS = 20;

const KERNEL: RdmaKernel = {
  get home() {
    return hostNetns();
  },
  within(netns, work) {
    const open = () => {
      using rdma = new NetlinkSocket({ protocol: NETLINK_RDMA });
      return work(rdma) as never; // not a promise: all work here is this file's
    };
    return netns ? inNetns(netns, open) : open();
  },
};

/**
 * Reads, changes nothing. If a VF's RDMA device is elsewhere, waits for it: without it even `auto` would give the pod a
 * rail that it cannot use.
 *
 * @throws {CniError} 104 when RDMA is `required` and there is none, or when an existing device does not come home.
 */
export async function planRdma(pci: string, mode: RdmaMode, host: Host): Promise<RdmaPlan> {
  if (mode === "off") return NONE;
  const { sysfs } = host.paths;
  if (rdmaDevicesOf(sysfs, pci).length + countRdma(sysfs, pci) === 0) {
    if (mode === "required")
      throw unusable(`VF ${pci} has no RDMA device; is its driver's RDMA part loaded (mlx5_ib, irdma)?`);
    return NONE;
  }
  const isMoved = KERNEL.within(undefined, rdmaNetnsMode) === "exclusive";
  if (!isMoved) return { ...NONE, devices: rdmaDevicesOf(sysfs, pci) };
  const devices = await comeHome(pci, host);
  return { devices: devices.map(({ name }) => name), indices: devices.map(({ index }) => index), move: true };
}

async function comeHome(pci: string, host: Host): Promise<readonly RdmaDevice[]> {
  for (const endMs = host.clock.nowMs() + HOME_MS; ; await host.clock.sleep(POLL_MS)) {
    host.signal.throwIfAborted();
    const devices = rdmaAtHome(host.paths.sysfs, pci, KERNEL);
    if (devices) return devices;
    if (host.clock.nowMs() > endMs)
      throw unusable(
        `the RDMA device of VF ${pci} is not in the host's network namespace, and did not appear within ${HOME_MS / 1000} s; ` +
          "run `rdma dev` in the pods' namespaces to find it",
      );
  }
}

/**
 * Moves the VF's RDMA devices after its link, as the kernel requires (dranet#180). The kernel renumbers their character
 * devices, with the lowest free number, so one node-wide lock surrounds every move, and the result is compared with what
 * the kubelet gave the pod.
 *
 * @returns their names in the pod.
 * @throws {CniError} 104 when not all moved; 11 when the pod was given another VF's character device. The caller undoes.
 */
export async function moveRdma(plan: RdmaPlan, pci: string, netns: Fd, call: Call, host: Host): Promise<string[]> {
  const { names, renumbered } = await moveAndCompare(plan, pci, netns, call, host);
  if (renumbered) throw new CniError(CODE.TRY_AGAIN_LATER, `cannot provide RDMA: ${renumbered}`);
  return names;
}

/**
 * Like moveRdma(), for a pod that already has its VF: a different character device is no reason to take the VF away.
 *
 * @returns what the pod's user should know, if anything.
 */
export async function moveRdmaAgain(plan: RdmaPlan, pci: string, netns: Fd, call: Call, host: Host): Promise<string> {
  return (await moveAndCompare(plan, pci, netns, call, host)).renumbered;
}

async function moveAndCompare(
  plan: RdmaPlan,
  pci: string,
  netns: Fd,
  call: Call,
  host: Host,
): Promise<{ readonly names: string[]; readonly renumbered: string }> {
  if (!plan.move) return { names: [...plan.devices], renumbered: "" };
  const { sysfs, runDir } = host.paths;
  using _lock = await lockRdma("ADD", host);
  const given = rdmaPromisedTo(podOf(call), runDir, pci, rdmaCharDevicesOf(sysfs, pci).sort());
  const wanted = (plan.indices ?? []).map((index, i) => ({ index, name: plan.devices[i]! }));
  const moved = moveIn(wanted, netns, pci, KERNEL);
  if (moved.length < wanted.length)
    throw unusable(
      `${moved.length} of the ${wanted.length} RDMA devices of VF ${pci} could be moved: the others are gone`,
    );
  const now = rdmaCharDevicesOf(sysfs, pci);
  const names = moved.map(({ name }) => name);
  if (given.every((name) => now.includes(name))) return { names, renumbered: "" };
  const renumbered =
    `the pod was given ${given.join(", ")} with VF ${pci}, whose devices the kernel now calls ` +
    `${now.sort().join(", ")}: delete the pod, so that the kubelet allocates again`;
  return { names, renumbered };
}

/**
 * Whether an RDMA device that ADD moved is in the host's namespace: its driver's RDMA part was reloaded, or the agent died
 * between moving the link and the device. Reads only sysfs.
 */
export const isRdmaAstray = ({ original, device }: Attachment, { paths }: Pick<Host, "paths">): boolean =>
  (original.rdma ?? []).length > 0 && rdmaDevicesOf(paths.sysfs, device.pci).length > 0;

const podOf = ({ args, containerId }: Call): string =>
  args["K8S_POD_UID"] || [args.K8S_POD_NAMESPACE, args.K8S_POD_NAME].filter(Boolean).join("/") || containerId;

/**
 * Brings the recorded RDMA devices home, before their link, under their own names. Idempotent; also works when the
 * namespace is gone and they fell back, under a name of the kernel's.
 *
 * @throws {Error} while one of them is elsewhere.
 */
export async function returnRdma({ original, device }: Attachment, netns: Fd | undefined, host: Host): Promise<void> {
  const { rdma: names = [], rdmaIndices: indices } = original;
  if (names.length === 0 || (!netns && !indices)) return;
  const vf = { names, ...(indices && { indices }) };
  const bring = async () => {
    using _lock = await lockRdma("DEL", host);
    return bringRdmaHome(vf, device.pci, netns, host.paths.sysfs, KERNEL);
  };
  for (const endMs = host.clock.nowMs() + RETURN_MS; ; await host.clock.sleep(POLL_MS)) {
    if (await bring()) return;
    if (host.clock.nowMs() > endMs)
      throw new Error(
        `cannot bring the RDMA device ${names.join(", ")} of VF ${device.pci} home: it is neither in the pod's network namespace nor in the host's`,
      );
  }
}

function unusable(why: string): CniError {
  return new CniError(ATTACH_CODE.RDMA_UNUSABLE, `cannot provide RDMA: ${why}`);
}
