import * as fs from "node:fs";
import { join } from "node:path";
import { isMissing } from "../kernel/errno.ts";
import { append, makeDirectory, syncFile, syncFiles, writeWhole } from "./durable.ts";
import { RecordError } from "./failure.ts";
import { LaterVersionError } from "./record-text.ts";
import { sha256 } from "./sha256.ts";

/** No writer takes this long. */
const LEFTOVER_MS = 60_000;

/** A file that is not a record: torn by a power cut, or put there by someone else. */
export interface Torn {
  /** Where it is now. */
  readonly file: string;
  readonly why: string;
}

let last = { of: "", key: "" };

/** Stable short key of an attachment, (containerID, ifname): IDs may be longer than a file name can be. */
export function attachmentKey(containerId: string, ifname: string): string {
  const of = `${containerId}\0${ifname}`;
  if (last.of !== of) last = { of, key: sha256(of).slice(0, 32) };
  return last.key; // one call asks half a dozen times
}

export interface RecordKind<T> {
  /** For messages: "the journal". */
  readonly title: string;
  /** Prefix for the names of files that are set aside. */
  readonly tornPrefix: string;
  /** @throws {LaterVersionError} @throws {SyntaxError} when the text is not a complete record of that name. */
  readonly parse: (text: string, name: string) => T;
}

/**
 * A directory of records, one file each, shared by agent and stand-alone executables. Writers hold a lock of their own;
 * readers need none, since files are renamed into place, and a line that is not complete yet is ignored.
 */
export class RecordFiles<T> {
  readonly #dir: string;
  readonly #kind: RecordKind<T>;

  /** @param dir created on the first write. */
  constructor(dir: string, kind: RecordKind<T>) {
    this.#dir = dir;
    this.#kind = kind;
  }

  /** @throws {RecordError} */
  names(ending = ".json"): string[] {
    try {
      return fs.readdirSync(this.#dir).filter((name) => name.endsWith(ending));
    } catch (error) {
      if (isMissing(error)) return [];
      throw this.#failure("read", error);
    }
  }

  /** Names of the files that sweep() set aside. */
  tornNames(): string[] {
    const { tornPrefix } = this.#kind;
    const names = fs.existsSync(this.#torn) ? fs.readdirSync(this.#torn) : [];
    return names.filter((name) => name.startsWith(tornPrefix)).map((name) => name.slice(tornPrefix.length));
  }

  /** Undefined when there is none, or it is not complete. */
  read(name: string): T | undefined {
    return this.#load(name).record;
  }

  /** The records whose names are wanted. */
  select(wanted: (name: string) => boolean): T[] {
    return this.names()
      .filter(wanted)
      .map((name) => this.read(name))
      .filter((record) => record !== undefined);
  }

  /**
   * Every record, one at a time: a node may have a thousand. Incomplete ones are moved to `torn/` beside the directory for
   * a person to look at, and reported; never fatal. Temporary files of killed writers are removed.
   */
  *sweep(onTorn: (torn: Torn) => void, which: (name: string) => boolean = () => true): Generator<T> {
    this.#removeLeftovers();
    for (const name of this.names().filter(which)) {
      const { record, why } = this.#load(name);
      if (record !== undefined) yield record;
      else if (why !== undefined) onTorn({ file: this.#setAside(name), why });
    }
  }

  /**
   * Writes a whole record: temporary file, then rename. That survives a kill; to survive a power cut it must also be synced.
   *
   * @throws {RecordError} when the disk is full or read-only; the old record, if any, is still there.
   */
  write(name: string, text: string, { synced }: { synced: boolean }): void {
    const file = join(this.#dir, name);
    const temporary = `${file}.tmp`;
    try {
      this.#create(temporary, text, synced);
      fs.renameSync(temporary, file);
      if (synced) syncFile(this.#dir);
    } catch (error) {
      discard(temporary);
      throw this.#failure("write", error);
    }
  }

  /**
   * Appends a change to a record, as a line of its own: replacing the file costs a millisecond on ext4.
   *
   * @returns whether there was such a record.
   * @throws {RecordError} when the disk is full or read-only; the record is unchanged.
   */
  append(name: string, change: object, { synced }: { synced: boolean }): boolean {
    try {
      append(join(this.#dir, name), `\n${JSON.stringify(change)}`, synced);
      return true;
    } catch (error) {
      if (isMissing(error)) return false;
      throw this.#failure("write", error);
    }
  }

  /** Syncs a written record to the disk. */
  sync(name: string): void {
    try {
      syncFile(join(this.#dir, name));
      syncFile(this.#dir);
    } catch (error) {
      throw this.#failure("write", error);
    }
  }

  /** Like sync(), for several, without blocking the thread. */
  async syncTogether(names: readonly string[]): Promise<void> {
    try {
      await syncFiles(names.map((name) => join(this.#dir, name)));
      syncFile(this.#dir);
    } catch (error) {
      throw this.#failure("write", error);
    }
  }

  /** Idempotent. Not synced: a power cut may bring the record back. */
  forget(name: string): void {
    fs.rmSync(join(this.#dir, name), { force: true });
  }

  #create(file: string, text: string, synced: boolean): void {
    try {
      writeWhole(file, text, synced);
    } catch (error) {
      if (!isMissing(error)) throw error;
      makeDirectory(this.#dir);
      writeWhole(file, text, synced);
    }
  }

  /** Neither record nor reason when it is gone, or written by a later release, which will find it again. */
  #load(name: string): { record?: T; why?: string } {
    try {
      return { record: this.#kind.parse(fs.readFileSync(join(this.#dir, name), "utf8"), name) };
    } catch (error) {
      return isMissing(error) || error instanceof LaterVersionError ? {} : { why: (error as Error).message };
    }
  }

  #removeLeftovers(): void {
    for (const name of this.names(".tmp")) {
      const file = join(this.#dir, name);
      const age = Date.now() - (fs.statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > LEFTOVER_MS) discard(file);
    }
  }

  get #torn(): string {
    return join(this.#dir, "..", "torn");
  }

  #setAside(name: string): string {
    const torn = this.#torn;
    const file = join(torn, `${this.#kind.tornPrefix}${name}`);
    fs.mkdirSync(torn, { recursive: true, mode: 0o700 });
    fs.renameSync(join(this.#dir, name), file);
    return file;
  }

  #failure(verb: "read" | "write", cause: unknown): RecordError {
    const why = (cause as Error).message;
    return new RecordError(`cannot ${verb} ${this.#kind.title} in ${this.#dir}: ${why}`, { cause });
  }
}

function discard(file: string): void {
  try {
    fs.rmSync(file, { force: true });
  } catch {} // a read-only file system: then none was ever created
}
