import { join } from "node:path";
import { RecordFiles, type Torn } from "../../records/record-files.ts";
import { type Attachment, parseAttachment } from "./record.ts";

/** What remains of an attachment that ended without its VF being fully restored. */
export type Debt = Attachment & Required<Pick<Attachment, "owed">>;

/**
 * VFs that are owed part of their restoration, one file each, `<PCI address>.json`: no pod waits for it, and no pod is
 * given such a VF. Writers hold the VF's lock.
 */
export class Debts {
  readonly #files: RecordFiles<Debt>;

  constructor(stateDir: string) {
    this.#files = new RecordFiles(join(stateDir, "owed"), {
      title: "pending VF restorations",
      tornPrefix: "owed-",
      parse,
    });
  }

  of(pci: string): Debt | undefined {
    return this.#files.read(`${pci}.json`);
  }

  /** PCI addresses, without reading any file. */
  devices(): Set<string> {
    return new Set(this.#files.names().map(pciOf));
  }

  /** @throws {CniError} 5 when the disk is full or read-only. */
  write(debt: Debt): void {
    this.#files.write(`${debt.device.pci}.json`, JSON.stringify(debt), { synced: false }); // a reboot settles it
  }

  /** Idempotent. */
  forget(pci: string): void {
    this.#files.forget(`${pci}.json`);
  }

  all(): Debt[] {
    return this.#files.select(() => true);
  }

  sweep(onTorn: (torn: Torn) => void, isOurs: (pci: string) => boolean = () => true): Generator<Debt> {
    return this.#files.sweep(onTorn, (name) => isOurs(pciOf(name)));
  }
}

const pciOf = (name: string): string => name.slice(0, -".json".length);

function parse(text: string, name: string): Debt {
  const { owed, ...a } = parseAttachment(text);
  if (!Array.isArray(owed)) throw new SyntaxError("owed is missing");
  if (`${a.device.pci}.json` !== name) throw new SyntaxError(`it belongs in ${a.device.pci}.json`);
  return { ...a, owed };
}
