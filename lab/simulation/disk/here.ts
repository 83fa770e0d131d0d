import { type Actor, currentActor, Killed } from "../core/actor.ts";
import type { Disk } from "./disk.ts";

/** Where a process runs, as far as its disk goes. */
export interface HasDisk {
  readonly disk: Disk;
  /** Of files that the kernel makes up, such as /proc/uptime. */
  readonly virtual: (path: string) => string | undefined;
}

/** Who runs now, and its machine. @throws {Killed} when it is dead. */
export function here(): HasDisk & { readonly actor: Actor } {
  const actor = currentActor();
  if (!actor) throw new Error("file access outside of a simulated process");
  if (actor.isDead) throw new Killed(actor.name);
  const { disk, virtual } = actor.place as HasDisk;
  return { disk, virtual, actor };
}

/** Before a change, which may be the last deed of its process. */
export function changing(what: string): Disk {
  const { disk, actor } = here();
  disk.onChange(what);
  if (actor.isDead) throw new Killed(actor.name);
  return disk;
}

/** What closes a descriptor does nothing in a process that is dead: the kernel has done it. */
export function closing(n: number): void {
  const actor = currentActor();
  if (actor && !actor.isDead) (actor.place as HasDisk).disk.close(n);
}
