import { chmodSync, existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { isMissing } from "../../../kernel/errno.ts";
import { readIfThere } from "../../../records/durable.ts";
import { Locks } from "../../../records/lock.ts";
import { attachmentKey } from "../../../records/record-files.ts";
import type { Host } from "../../host.ts";
import { toldDirOf } from "./offered.ts";
import { filesOf, type ToldRail } from "./rail.ts";

/** Nobody holds it for longer than a few writes. */
const LOCK_MS = 5_000;

const ROOTS_ALONE = 0o600;
const EVERYBODYS = 0o444;

type ToldHost = Pick<Host, "paths" | "log">;

/**
 * Tells a pod of its rails, before its first container starts: into the directory of each of its VFs, since every Allocate mounts
 * one of them at the same place and the kubelet keeps the first. Not synced: a reboot ends the pod and the file system. Never
 * fails: a rail works also untold.
 */
export async function tellPod(containerId: string, rails: readonly ToldRail[], host: ToldHost): Promise<void> {
  const isNew = ({ pci }: ToldRail, known: readonly ToldRail[]) => !known.some((one) => one.pci === pci);
  await change(containerId, host, (known) => [
    ...known.map((one) => rails.find(({ pci }) => pci === one.pci) ?? one),
    ...rails.filter((one) => isNew(one, known)),
  ]);
}

/** A pod's VF has gone home: nothing of it is left for the next one, and the pod's others are told. Idempotent; never fails. */
export async function untellVf(containerId: string, pci: string, host: ToldHost): Promise<void> {
  const dir = toldDirOf(host.paths.runDir, pci);
  if (!existsSync(dir)) return;
  try {
    for (const name of Object.keys(filesOf([]))) rmSync(join(dir, name), { force: true });
  } catch (err) {
    host.log.warn({ err, pci }, "cannot remove what a pod was told of its rails");
  }
  if (!existsSync(listOf(containerId, host))) return;
  await change(containerId, host, (known) => known.filter((one) => one.pci !== pci));
}

/** What a pod has been told. */
export function toldOf(containerId: string, host: Pick<Host, "paths">): readonly ToldRail[] {
  try {
    const list: unknown = JSON.parse(readIfThere(listOf(containerId, host)) ?? "[]");
    return Array.isArray(list) ? list : [];
  } catch {
    return []; // half of one: of a process that was killed on a full file system
  }
}

async function change(
  containerId: string,
  host: ToldHost,
  work: (known: readonly ToldRail[]) => readonly ToldRail[],
): Promise<void> {
  const list = listOf(containerId, host);
  try {
    using _lock = await new Locks(host.paths.runDir).acquire(
      `told-${keyOf(containerId)}`,
      "what a pod is told",
      LOCK_MS,
    );
    const rails = work(toldOf(containerId, host));
    if (rails.length === 0) rmSync(list, { force: true });
    else writeAtomically(list, JSON.stringify(rails), ROOTS_ALONE);
    const files = Object.entries(filesOf(rails));
    for (const { pci } of rails)
      for (const [name, text] of files)
        writeAtomically(join(toldDirOf(host.paths.runDir, pci), name), text, EVERYBODYS);
  } catch (err) {
    host.log.warn({ err, containerID: containerId }, "cannot tell a pod of its rails in /run/railnet");
  }
}

const keyOf = (containerId: string): string => attachmentKey(containerId, "");

/** The pod's rails in their order; root's alone. */
const listOf = (containerId: string, { paths }: Pick<Host, "paths">): string =>
  join(paths.runDir, "told-pods", `${keyOf(containerId)}.json`);

function writeAtomically(file: string, text: string, mode: number): void {
  const temporary = join(file, "..", `.${process.pid}.new`);
  try {
    writeFileSync(temporary, text, { mode });
  } catch (error) {
    if (!isMissing(error)) throw error;
    mkdirSync(join(file, ".."), { recursive: true, mode: mode === EVERYBODYS ? 0o755 : 0o700 });
    writeFileSync(temporary, text, { mode });
  }
  chmodSync(temporary, mode); // whatever the umask
  renameSync(temporary, file);
}
