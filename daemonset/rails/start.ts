import { tryLockDevice } from "../../cni/attachment/exclusion.ts";
import { readBootId } from "../../cni/boot-id.ts";
import type { Log, Paths } from "../../cni/host.ts";
import type { HostUses } from "../kernel-thread.ts";
import { repeat } from "../loop.ts";
import type { RailFiles } from "../rail-network/file.ts";
import { writeGoverned } from "../rail-network/governed.ts";
import type { Altnames } from "./altname.ts";
import { userOf } from "./in-use.ts";
import { RailKeeper, type RailsSeen } from "./keeper.ts";
import type { CarryOut } from "./orders.ts";
import { rebind, writeNumVfs } from "./renumber.ts";
import type { RailHere } from "./select.ts";
import type { RailSets } from "./sets.ts";

export interface RailsOptions {
  readonly railFiles: RailFiles;
  readonly paths: Paths;
  readonly log: Log;
  /** Whether the kubelet gave a VF to a pod a moment ago, whose ADD is still to come. */
  readonly isPromised: (vf: string) => boolean;
  /** Uses netlink, so not in this thread. */
  readonly carryOut: CarryOut;
  readonly hostUses: (vfs: readonly string[]) => Promise<HostUses>;
  readonly altnames: Altnames;
  /** The kubelet's directory, or empty. */
  readonly devicePlugins: string;
  /** Where tests inject faults. */
  readonly step?: (step: string) => void;
}

/** The rails of this node. */
export interface Rails {
  here(): readonly RailHere[];
  /** VFs of several rails that are offered together. */
  sets(): RailSets | undefined;
  seen(): RailsSeen;
  /** Fulfilled after the first look. */
  readonly looked: Promise<void>;
  stop(): void;
}

/**
 * Between two looks at configuration and PFs: polled, since a ConfigMap is a link to another directory each time, and
 * PFs come and go with their drivers. A look reads a few dozen small files.
 */
const LOOK_MS = 5_000;

/** The first look waits for the PFs, as a start does. Later ones do not: a slow PF must not delay what a changed list says of others. */
const LATER_MS = 1_000;

/** Keeps the PFs of this node as the list of rails wants them, from now until stop(). */
export function startRails(options: RailsOptions): Rails {
  const { railFiles, paths, log, isPromised, carryOut, hostUses, altnames, devicePlugins, step = () => {} } = options;
  const { sysfs, stateDir } = paths;
  const stopping = new AbortController();
  const hostUse = async (vf: string) => (await hostUses([vf]))[vf];
  const signs = { sysfs, stateDir, bootId: readBootId(), isPromised, hostUse };
  const keeper = new RailKeeper({
    railFiles,
    sysfs,
    log,
    setNumVfs: ({ pci }, count) => writeNumVfs(pci, count, paths),
    rebind: (vf) => rebind(vf, paths),
    carryOut,
    altnames,
    onHere: (here) => writeGoverned(here, railFiles, { stateDir, devicePlugins }),
    userOf: (vf) => userOf(vf, signs),
    lock: (vf) => tryLockDevice(vf, { paths }),
    step,
    nowMs: () => performance.now(),
  });
  const looked = Promise.withResolvers<void>();
  let patienceMs: number | undefined;
  const look = () =>
    keeper.look(patienceMs).finally(() => {
      patienceMs = LATER_MS;
      looked.resolve();
    });
  void repeat("rails", { everyMs: LOOK_MS, signal: stopping.signal, log }, look);
  return {
    here: () => keeper.here,
    sets: () => keeper.sets,
    seen: () => keeper.seen,
    looked: looked.promise,
    stop: () => stopping.abort(),
  };
}
