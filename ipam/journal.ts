import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import { CniError, CODE } from "../cni/protocol/error.ts";
import type { Storage } from "./storage.ts";
import type { Owner, Pool } from "./store/store.ts";

/**
 * What one attachment has, or may have, of the cluster's addresses.
 *
 * - `claiming`: ADD did not finish; `addresses` are candidates that may have been claimed.
 * - `held`: ADD finished.
 * - `releasing`: DEL came, or ADD failed: to be given back, then forgotten.
 */
export interface ClaimRecord {
  readonly version: 1;
  readonly phase: "claiming" | "held" | "releasing";
  /** Name of the network configuration, for GC. */
  readonly network: string;
  readonly storage: Storage;
  readonly owner: Owner;
  readonly netns: string;
  /** Inode of the namespace at ADD, 0 when it had none: another one under the same path is another sandbox. */
  readonly netnsInode: number;
  /** ISO 8601, of the last change. */
  readonly since: string;
  readonly addresses: readonly { readonly pool: Pool; readonly ip: string }[];
  /** Pools to look through by container ID, when what was claimed is not on record (Whereabouts did it). */
  readonly search?: readonly Pool[];
}

/** A record on disk that is no record. */
export interface TornClaim {
  readonly file: string;
  readonly why: string;
}

/**
 * The claims of a node on disk, one file an attachment, shared by agent and stand-alone executables. Writers hold the
 * attachment's lock; readers need none, since files are only ever renamed into place.
 */
export class ClaimJournal {
  readonly #dir: string;

  /** @param stateDir made on the first write. */
  constructor(stateDir: string) {
    this.#dir = join(stateDir, "ipam");
  }

  find(containerId: string, ifname: string): ClaimRecord | undefined {
    const found = this.#load(`${claimKey(containerId, ifname)}.json`);
    return typeof found === "object" ? found : undefined;
  }

  /** Every whole record, one at a time. */
  *all(onTorn: (torn: TornClaim) => void = () => {}): Generator<ClaimRecord> {
    for (const name of this.#names()) {
      const found = this.#load(name);
      if (typeof found === "string") onTorn({ file: this.#setAside(name), why: found });
      else if (found) yield found;
    }
  }

  /**
   * Whole: temporary file, then rename. That survives a kill; with `synced` also a power cut.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the old record, if any, is still there.
   */
  write(record: ClaimRecord, { synced = true } = {}): void {
    const file = join(this.#dir, `${claimKey(record.owner.containerId, record.owner.ifname)}.json`);
    try {
      fs.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      writeWhole(`${file}.tmp`, JSON.stringify(record), synced);
      fs.renameSync(`${file}.tmp`, file);
      if (synced) syncDirectory(this.#dir);
    } catch (cause) {
      try {
        fs.rmSync(`${file}.tmp`, { force: true });
      } catch {} // on a read-only disk even what is not there
      throw new CniError(
        CODE.IO_FAILURE,
        `cannot write the journal of addresses in ${this.#dir}: ${(cause as Error).message}`,
        { cause },
      );
    }
  }

  /** Idempotent. Not synced: a record that comes back after a power cut is released once more, which does nothing. */
  forget({ owner }: ClaimRecord): void {
    fs.rmSync(join(this.#dir, `${claimKey(owner.containerId, owner.ifname)}.json`), { force: true });
  }

  #names(): string[] {
    try {
      return fs.readdirSync(this.#dir).filter((name) => name.endsWith(".json"));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  }

  /** @returns the record, why it is none, or undefined when it is gone. */
  #load(name: string): ClaimRecord | string | undefined {
    try {
      return parseClaimRecord(fs.readFileSync(join(this.#dir, name), "utf8"));
    } catch (error) {
      const isGone = (error as NodeJS.ErrnoException).code === "ENOENT" || error instanceof LaterVersionError;
      return isGone ? undefined : (error as Error).message;
    }
  }

  #setAside(name: string): string {
    const torn = join(this.#dir, "..", "torn");
    fs.mkdirSync(torn, { recursive: true, mode: 0o700 });
    fs.renameSync(join(this.#dir, name), join(torn, `ipam-${name}`));
    return join(torn, `ipam-${name}`);
  }
}

/** Stable short key of (containerID, ifname): IDs may be longer than a file name. */
export const claimKey = (containerId: string, ifname: string): string =>
  createHash("sha256").update(`${containerId}\0${ifname}`).digest("hex").slice(0, 32);

/** A record of a release after this one, which somebody went back from: it stays for that one to read. */
export class LaterVersionError extends SyntaxError {
  override readonly name = "LaterVersionError";
}

/**
 * @throws {LaterVersionError}
 * @throws {SyntaxError} when the text is not a whole record of a version that we read.
 */
export function parseClaimRecord(text: string): ClaimRecord {
  const record = JSON.parse(text) as Partial<ClaimRecord> | null;
  if (Number(record?.version) > 1) throw new LaterVersionError(`version ${record?.version} is of a later release`);
  if (record?.version !== 1) throw new SyntaxError(`unknown version ${String(record?.version)}`);
  if (!["claiming", "held", "releasing"].includes(record.phase ?? "")) throw new SyntaxError("phase is unknown");
  const { owner, storage, addresses } = record;
  if (typeof owner?.containerId !== "string" || typeof owner.ifname !== "string" || typeof owner.podref !== "string")
    throw new SyntaxError("owner is missing");
  if (typeof storage?.kind !== "string" || !Array.isArray(addresses)) throw new SyntaxError("storage is missing");
  return record as ClaimRecord;
}

function writeWhole(file: string, text: string, synced: boolean): void {
  const fd = fs.openSync(file, "w", 0o600);
  try {
    fs.writeFileSync(fd, text);
    if (synced) fs.fdatasyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function syncDirectory(dir: string): void {
  const fd = fs.openSync(dir, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
