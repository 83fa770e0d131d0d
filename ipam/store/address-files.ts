import * as fs from "node:fs";
import { join } from "node:path";
import { isMissing } from "../../kernel/errno.ts";
import { makeDirectory, syncFile, writeWhole } from "../../records/durable.ts";
import { sha256 } from "../../records/sha256.ts";
import type { Holding } from "./holding.ts";

/**
 * The addresses of one network as files in a directory: `<ip>.json` contains the holdings of that address. A file exists
 * completely or not at all: it is written under another name, synced, and then linked or renamed into place; the directory
 * is synced too before a method returns. Writers of one address hold its lock; readers need none.
 *
 * @throws {Error} with an errno name as `code`, from every method.
 */
export class AddressFiles {
  /** Distinguishes this network among all below one root; short, and safe as a file name. */
  readonly name: string;
  readonly dir: string;
  readonly #cache = new Map<string, { readonly version: string; readonly holdings: readonly Holding[] }>();

  constructor(root: string, network: string) {
    this.name = directoryName(network);
    this.dir = join(root, this.name);
  }

  /** Empty when nobody holds the address. */
  read(ip: string): readonly Holding[] {
    const text = unlessMissing(() => fs.readFileSync(this.#file(ip), "utf8"));
    return text === undefined ? [] : parse(text, this.#file(ip));
  }

  /** Every address with a holder. Files that have not changed since the last call are not read again. */
  all(): Map<string, readonly Holding[]> {
    const names = (unlessMissing(() => fs.readdirSync(this.dir)) ?? []).filter((name) => name.endsWith(".json"));
    const known = new Map([...this.#cache]);
    this.#cache.clear();
    const found = new Map<string, readonly Holding[]>();
    for (const name of names) {
      const ip = name.slice(0, -".json".length);
      const version = unlessMissing(() => versionOf(join(this.dir, name)));
      if (version === undefined) continue;
      const before = known.get(ip);
      const holdings = before?.version === version ? before.holdings : this.read(ip);
      this.#cache.set(ip, { version, holdings });
      if (holdings.length > 0) found.set(ip, holdings);
    }
    return found;
  }

  /** Replaces `before` by `after`. link(2) does not replace a file: should the lock fail, the first of two claims still wins. */
  write(ip: string, before: readonly Holding[], after: readonly Holding[]): void {
    const file = this.#file(ip);
    if (after.length === 0) {
      for (const gone of [file, this.#temporary(ip)]) fs.rmSync(gone, { force: true });
    } else {
      makeDirectory(this.dir);
      const temporary = this.#temporary(ip);
      writeSynced(temporary, JSON.stringify(after));
      if (before.length > 0) fs.renameSync(temporary, file);
      else linkOnce(temporary, file);
    }
    if (before.length > 0 || after.length > 0) syncFile(this.dir);
  }

  #file(ip: string): string {
    return join(this.dir, `${ip}.json`);
  }

  #temporary(ip: string): string {
    return join(this.dir, `${ip}.tmp`);
  }
}

/** Any text as the name of one directory: at most 255 bytes, no slash, and never `.` or `..`. */
function directoryName(network: string): string {
  const name = `network-${encodeURIComponent(network.toWellFormed())}`;
  return name.length <= 200 ? name : `network-${sha256(network)}`;
}

/** The holder of a file that is not a record (nobody here writes such) would never release it. */
function parse(text: string, file: string): readonly Holding[] {
  try {
    const holdings = JSON.parse(text) as readonly Holding[];
    const isWhole = Array.isArray(holdings) && holdings.every((held) => typeof held?.owner?.podref === "string");
    if (isWhole) return holdings;
  } catch {} // reported below, with the name of the file
  const podref = `unreadable record ${file}`;
  return [{ pool: "", overlapping: true, owner: { podref, ifname: "", containerId: "" } }];
}

/** Changes with every rename into the place: another inode, another time. */
function versionOf(file: string): string {
  const { ino, mtimeNs, ctimeNs } = fs.statSync(file, { bigint: true });
  return `${ino} ${mtimeNs} ${ctimeNs}`;
}

function linkOnce(temporary: string, file: string): void {
  fs.linkSync(temporary, file);
  fs.unlinkSync(temporary);
}

function writeSynced(file: string, text: string): void {
  fs.rmSync(file, { force: true }); // one left by a killed writer may already be linked into place
  writeWhole(file, text, true, "wx");
}

function unlessMissing<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (isMissing(error)) return undefined;
    throw error;
  }
}
