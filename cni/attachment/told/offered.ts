import { chmodSync, mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Which VFs the device plugin offers, and what it knows of them that an ADD would have to look for. */
export interface Offered {
  readonly version: 1;
  /** The rail of each, by the VF's PCI address. */
  readonly rails: Readonly<Record<string, string>>;
  /** GPUs near each PF, by that one's PCI address; absent without any. */
  readonly gpus?: Readonly<Record<string, readonly string[]>>;
}

const fileOf = (runDir: string): string => join(runDir, "offered.json");

/**
 * Where a VF's container finds what it is told of its rails: the directory that Allocate mounts. Never removed: a mount of it would
 * show nothing more. Without colons, which separate in the binds of cri-dockerd.
 */
export const toldDirOf = (runDir: string, pci: string): string => join(runDir, "told", pci.replaceAll(":", "-"));

/** In every container that gets a VF. */
export const TOLD_IN_CONTAINER = "/run/railnet";

let written: { readonly file: string; readonly text: string } | undefined;

/**
 * Idempotent. Without VFs there is no file, so that ADD writes nothing for nobody; but what an agent before this one wrote stays
 * until this one has offered some: it may not know its rails yet. After a reboot it is written before the first pod's ADD,
 * whose VF the kubelet does not allocate again.
 */
export function writeOffered(runDir: string, offered: Offered): void {
  if (Object.keys(offered.rails).length === 0) {
    if (written) forgetOffered(runDir);
    return;
  }
  const file = fileOf(runDir);
  const text = JSON.stringify(offered);
  if (written?.file === file && written.text === text) return;
  for (const pci of Object.keys(offered.rails)) {
    mkdirSync(toldDirOf(runDir, pci), { recursive: true });
    chmodSync(toldDirOf(runDir, pci), 0o755); // whatever the umask: processes in containers need not be root
  }
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
  written = { file, text };
}

/** Another device plugin serves from now on. */
export function forgetOffered(runDir: string): void {
  rmSync(fileOf(runDir), { force: true });
  written = undefined;
}

let last: { readonly key: string; readonly offered: Offered } | undefined;

/** Undefined where the agent offers no VFs. One stat(2) while nothing changes. */
export function readOffered(runDir: string): Offered | undefined {
  const file = fileOf(runDir);
  const found = statSync(file, { throwIfNoEntry: false });
  if (!found) return undefined;
  const key = `${file} ${found.ino} ${found.mtimeMs} ${found.size}`;
  if (last?.key === key) return last.offered;
  try {
    const offered: Offered = JSON.parse(readFileSync(file, "utf8"));
    if (typeof offered?.rails !== "object" || offered.rails === null) return undefined;
    last = { key, offered };
    return offered;
  } catch {
    return undefined; // it is being replaced
  }
}
