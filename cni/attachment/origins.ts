import { join } from "node:path";
import { RecordFiles } from "../../records/record-files.ts";
import { parseRecord } from "../../records/record-text.ts";
import type { LinkAtAdd, Original } from "./record.ts";

/** The state of a VF when it was last seen at home, used by nobody. */
export interface Origin {
  readonly version: 1;
  /** With another boot ID it describes another VF. */
  readonly bootId: string;
  readonly pci: string;
  readonly link: LinkAtAdd;
  readonly original: Original;
}

/** Texts that this process has written or read, so that an ADD need not read them again. */
const known = new Map<string, string>();

/**
 * Root's own note of each VF's original state, one file each, from which a VF whose record is lost is restored, rather
 * than from what a tenant may have written on the link. Writers hold the VF's lock.
 */
export class Origins {
  readonly #dir: string;
  readonly #files: RecordFiles<Origin>;

  constructor(stateDir: string) {
    this.#dir = join(stateDir, "vfs");
    this.#files = new RecordFiles(this.#dir, { title: "the original settings of VFs", tornPrefix: "vf-", parse });
  }

  /** Undefined when there is none from this boot. */
  of(pci: string, bootId: string): Origin | undefined {
    const origin = this.#files.read(`${pci}.json`);
    return origin?.bootId === bootId ? origin : undefined;
  }

  /** Writes it if it says something new. @throws {CniError} 5 when the disk is full or read-only. */
  note(origin: Origin): void {
    const name = `${origin.pci}.json`;
    const text = JSON.stringify(origin);
    const key = join(this.#dir, name);
    if (known.get(key) === text) return;
    const there = this.#files.read(name);
    if (!there || JSON.stringify(there) !== text) this.#files.write(name, text, { synced: false });
    known.set(key, text);
  }
}

function parse(text: string, name: string): Origin {
  const origin = parseRecord(text) as unknown as Origin;
  if (`${origin.pci}.json` !== name) throw new SyntaxError(`it belongs in ${origin.pci}.json`);
  if (typeof origin.original?.name !== "string") throw new SyntaxError("original is missing");
  if (typeof origin.link?.index !== "number") throw new SyntaxError("link is missing");
  return origin;
}
