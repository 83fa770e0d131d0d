import * as fs from "node:fs";
import { join } from "node:path";
import { codeOf } from "../kernel/errno.ts";
import { CniError, CODE } from "../protocol/error.ts";
import { type Attachment, attachmentKey, LaterVersionError, parseAttachment } from "./record.ts";

/** No writer takes this long. */
const LEFTOVER_MS = 60_000;

/** A record on disk that is no record: torn by a power cut, or somebody else's. */
export interface Torn {
  readonly file: string;
  readonly why: string;
}

/**
 * The record on disk of all attachments of a node, shared by agent and stand-alone executables: one file each, named
 * `<key>@<PCI address>.json`, so that one readdir finds an attachment by container or by VF. Writers hold the locks of
 * attachment and VF (`lock.ts`); readers need none, since files are only ever renamed into place.
 */
export class Journal {
  readonly #dir: string;

  /** @param stateDir made on the first write. */
  constructor(stateDir: string) {
    this.#dir = join(stateDir, "attachments");
  }

  find(containerId: string, ifname: string): Attachment | undefined {
    const key = `${attachmentKey(containerId, ifname)}@`;
    return this.#read((name) => name.startsWith(key)).at(0);
  }

  /** Records of a VF: at most one of this boot that is not `returned`. */
  ofDevice(pci: string): Attachment[] {
    const suffix = `@${pci}.json`;
    return this.#read((name) => name.endsWith(suffix));
  }

  all(): Attachment[] {
    return this.#read(() => true);
  }

  /** Number of records, without reading them. */
  count(): number {
    return this.#names().length;
  }

  /** PCI addresses of VFs that are on record, without reading the records: also of one that is only `returned`. */
  devices(): Set<string> {
    return new Set(this.#names().map((name) => name.slice(name.indexOf("@") + 1, -".json".length)));
  }

  /** Records of this boot that may have the VF. */
  activeOwners(pci: string, bootId: string): Attachment[] {
    return this.ofDevice(pci).filter((a) => a.phase !== "returned" && a.bootId === bootId);
  }

  /**
   * Writes a new record whole: temporary file, then rename. That survives a kill; for a power cut call sync() too.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the old record, if any, is still there.
   */
  write(attachment: Attachment): void {
    const file = join(this.#dir, fileName(attachment));
    const temporary = `${file}.tmp`;
    try {
      const fd = this.#create(temporary);
      try {
        fs.writeFileSync(fd, JSON.stringify(attachment)); // writeSync() may stop half-way on a full disk and not say so
      } finally {
        fs.closeSync(fd);
      }
      fs.renameSync(temporary, file);
    } catch (error) {
      this.#discard(temporary);
      throw this.#failure("write", error);
    }
  }

  /**
   * Adds a change to a record, as a line of its own: a new file in the old one's place costs a millisecond on ext4. A
   * record that is not on disk is written whole.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the record is as before.
   */
  update(attachment: Attachment, change: Partial<Attachment>): void {
    try {
      append(join(this.#dir, fileName(attachment)), `\n${JSON.stringify(change)}`);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw this.#failure("write", error);
      this.write({ ...attachment, ...change });
    }
  }

  /** Puts a written record on the disk itself. What a reboot resets anyway needs no sync. */
  sync(attachment: Attachment): void {
    try {
      syncFile(join(this.#dir, fileName(attachment)));
      syncFile(this.#dir);
    } catch (error) {
      throw this.#failure("write", error);
    }
  }

  #failure(verb: "read" | "write", cause: unknown): CniError {
    const why = (cause as Error).message;
    return new CniError(CODE.IO_FAILURE, `cannot ${verb} the journal in ${this.#dir}: ${why}`, { cause });
  }

  /** Idempotent. Not synced: a record that comes back after a power cut is of another boot and owns nothing. */
  forget(attachment: Attachment): void {
    fs.rmSync(join(this.#dir, fileName(attachment)), { force: true });
  }

  /** The record as it is now; undefined once its attachment has ended. */
  reread(attachment: Attachment): Attachment | undefined {
    const found = this.#load(fileName(attachment));
    return typeof found === "object" ? found : undefined;
  }

  /**
   * Every record, one at a time: a node may have a thousand. What is not whole is moved to `torn/` for a person to
   * look at, and reported; never fatal.
   */
  *sweep(onTorn: (torn: Torn) => void): Generator<Attachment> {
    this.#removeLeftovers();
    for (const name of this.#names()) {
      const found = this.#load(name);
      if (typeof found === "string") onTorn({ file: this.#setAside(name), why: found });
      else if (found) yield found;
    }
  }

  /** Temporary files of writers that were killed. */
  #removeLeftovers(): void {
    for (const name of this.#names(".tmp")) {
      const file = join(this.#dir, name);
      const age = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > LEFTOVER_MS) this.#discard(file);
    }
  }

  #discard(file: string): void {
    try {
      fs.rmSync(file, { force: true });
    } catch {} // a read-only file system: then it was never made
  }

  #setAside(name: string): string {
    const torn = join(this.#dir, "..", "torn");
    fs.mkdirSync(torn, { recursive: true, mode: 0o700 });
    fs.renameSync(join(this.#dir, name), join(torn, name));
    return join(torn, name);
  }

  /** @returns the record, why it is none, or undefined when it is gone or a later release's, which finds it again. */
  #load(name: string): Attachment | string | undefined {
    try {
      const attachment = parseAttachment(fs.readFileSync(join(this.#dir, name), "utf8"));
      return fileName(attachment) === name ? attachment : `it belongs in ${fileName(attachment)}`;
    } catch (error) {
      const isGone = codeOf(error) === "ENOENT" || error instanceof LaterVersionError;
      return isGone ? undefined : (error as Error).message;
    }
  }

  #read(wanted: (name: string) => boolean): Attachment[] {
    return this.#names()
      .filter(wanted)
      .map((name) => this.#load(name))
      .filter((found) => typeof found === "object");
  }

  #names(ending = ".json"): string[] {
    try {
      return fs.readdirSync(this.#dir).filter((name) => name.endsWith(ending));
    } catch (error) {
      if (codeOf(error) === "ENOENT") return [];
      throw this.#failure("read", error);
    }
  }

  #create(file: string): number {
    try {
      return fs.openSync(file, "w", 0o600);
    } catch (error) {
      if (codeOf(error) !== "ENOENT") throw error;
      fs.mkdirSync(this.#dir, { recursive: true, mode: 0o700 });
      return fs.openSync(file, "w", 0o600);
    }
  }
}

function fileName(a: Attachment): string {
  return `${attachmentKey(a.containerId, a.ifname)}@${a.device.pci}.json`;
}

/** What did not fit is taken back. */
function append(file: string, text: string): void {
  const fd = fs.openSync(file, fs.constants.O_WRONLY | fs.constants.O_APPEND);
  const before = fs.fstatSync(fd).size;
  try {
    fs.writeFileSync(fd, text);
  } catch (error) {
    fs.ftruncateSync(fd, before);
    throw error;
  } finally {
    fs.closeSync(fd);
  }
}

function syncFile(path: string): void {
  const fd = fs.openSync(path, "r");
  try {
    fs.fsyncSync(fd);
  } finally {
    fs.closeSync(fd);
  }
}
