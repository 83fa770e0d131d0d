import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Log } from "../../cni/host.ts";
import { codeOf } from "../../kernel/errno.ts";
import { isForUserspace, netdevOf, probesVfs, totalVfsOf, vfsOf } from "../../kernel/sysfs.ts";
import type { CarryOut } from "./orders.ts";
import { nameOf, type PfFacts, type RailHere } from "./select.ts";

/** What to write to `sriov_numvfs`, in this order, or why nothing. */
export type VfPlan =
  | { readonly kind: "keep" }
  | { readonly kind: "write"; readonly values: readonly number[] }
  /** Not now: retried. */
  | { readonly kind: "wait"; readonly why: string }
  /** Not as long as configuration and firmware are what they are. */
  | { readonly kind: "refuse"; readonly why: string };

/** A PF before its VFs are created. */
export interface RailVfs {
  readonly numVfs: number;
  readonly totalVfs: number;
  /** One sentence for each VF in use. */
  readonly inUse: readonly string[];
}

/** The edges: where VFs are created, and who has them. */
export interface VfHost {
  readonly sysfs: string;
  /** Writes `sriov_numvfs`; rejects with the kernel's errno. */
  readonly setNumVfs: (pf: PfFacts, count: number) => Promise<void>;
  readonly carryOut: CarryOut;
  /** Who has a VF, in words; undefined when it is free. */
  readonly userOf: (vf: string) => Promise<string | undefined>;
  /** Keeps ADD and DEL off a VF; undefined if one of them is at work. */
  readonly lock: (vf: string) => Disposable | undefined;
  readonly log: Log;
  /** Called after each write: where tests inject faults. */
  readonly step: (step: "rail-vfs-removed" | "rail-vfs-made") => void;
}

/** The kernel has created the VFs when the write returns; their drivers create links a moment later. */
const LINKS_MS = 30_000;
const POLL_MS = 20;

/** The kernel accepts a number other than 0 only while there are no VFs. */
export function planVfs(wanted: number, { numVfs, totalVfs, inUse }: RailVfs): VfPlan {
  if (wanted === 0 || wanted === numVfs) return { kind: "keep" };
  if (wanted > totalVfs)
    return { kind: "refuse", why: `its firmware allows ${totalVfs} (sriov_totalvfs): ask for less or raise it there` };
  if (numVfs === 0) return { kind: "write", values: [wanted] };
  if (inUse.length === 0) return { kind: "write", values: [0, wanted] };
  return {
    kind: "wait",
    why: `it has ${numVfs}, and the kernel would have to remove all of them: ${inUse.join("; ")}`,
  };
}

/**
 * Gives a rail's PF the requested VFs. Idempotent; a process that dies half-way leaves a PF without VFs, which the next one
 * treats like a new one.
 *
 * @returns the plan that was carried out, or why there was nothing to carry out.
 * @throws {Error} naming PF, errno and what to do.
 */
export async function ensureVfs({ rail, pf }: RailHere, host: VfHost): Promise<VfPlan> {
  const [numVfs, totalVfs] = [await readNumVfs(host.sysfs, pf.pci), totalVfsOf(host.sysfs, pf.pci)];
  const idle = planVfs(rail.vfs, { numVfs, totalVfs, inUse: [] });
  if (idle.kind !== "write") return idle;
  using locks = new DisposableStack();
  const inUse: string[] = [];
  for (const vf of vfsOf(host.sysfs, pf.pci)) {
    const lock = locks.use(host.lock(vf));
    const user = lock ? await host.userOf(vf) : `VF ${vf} is being attached or detached`;
    if (user) inUse.push(user);
  }
  const plan = planVfs(rail.vfs, { numVfs, totalVfs, inUse });
  if (plan.kind !== "write") return plan;
  if (pf.name) await host.carryOut({ do: "set-up", pf: pf.pci, netdev: pf.name }); // first: after the VFs are created a restarted agent finds nothing more to do
  for (const count of plan.values) await setNumVfs(pf, count, host);
  return plan;
}

/** Waits until drivers have created links for the VFs. @returns those without one when the time is up. */
export async function awaitLinks(pf: PfFacts, sysfs: string, limitMs = LINKS_MS): Promise<readonly string[]> {
  if (!probesVfs(sysfs, pf.pci)) return [];
  const end = performance.now() + limitMs;
  for (;;) {
    const bare = vfsOf(sysfs, pf.pci).filter((vf) => !netdevOf(sysfs, vf) && !isForUserspace(sysfs, vf));
    if (bare.length === 0 || performance.now() > end) return bare;
    await sleep(POLL_MS);
  }
}

/** Waits while another process sets it, so that nothing is planned half-way; not in this thread. */
const readNumVfs = async (sysfs: string, pci: string): Promise<number> =>
  Number(await readFile(join(sysfs, "bus/pci/devices", pci, "sriov_numvfs"), "utf8").catch(() => 0));

async function setNumVfs(pf: PfFacts, count: number, host: VfHost): Promise<void> {
  try {
    await host.setNumVfs(pf, count);
  } catch (cause) {
    const code = codeOf(cause) ?? "";
    const fix = FIXES[code] ?? "the kernel's log (dmesg) says why";
    const what = `cannot set sriov_numvfs of ${nameOf(pf)} to ${count}`;
    throw new Error(`${what}: ${code || (cause as Error).message}: ${fix}`, { cause });
  }
  host.log.info({ pf: pf.name, pci: pf.pci, count }, count === 0 ? "VFs removed, to create others" : "VFs made");
  host.step(count === 0 ? "rail-vfs-removed" : "rail-vfs-made");
}

/** What an errno means here: `sriov_numvfs_store` and `sriov_enable`, drivers/pci/pci-sysfs.c and iov.c. */
const FIXES: Readonly<Record<string, string>> = {
  EBUSY: "something else sets it too, or the driver uses it (devlink dev eswitch show)",
  ENOENT: "its driver makes no VFs: load the one that does",
  ENOMEM: "no room for their memory or bus numbers: enable SR-IOV in the firmware's setup, or boot with pci=realloc",
  ENOSPC: "no room for their memory or bus numbers: enable SR-IOV in the firmware's setup, or boot with pci=realloc",
  ERANGE: "its firmware allows fewer (sriov_totalvfs): ask for less or raise it there",
  EROFS: "sysfs is read-only here: the agent's container must be privileged, with the host's /sys",
  EACCES: "the agent must run as root, its container privileged",
  ENODEV: "the PF is gone, or its driver is just being unloaded",
};
