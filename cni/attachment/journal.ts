import { join } from "node:path";
import { attachmentKey, RecordFiles, type Torn } from "../../records/record-files.ts";
import { type Attachment, parseAttachment } from "./record.ts";

/**
 * The record on disk of all attachments of a node: one file each, named `<key>@<PCI address>.json`, so that one readdir
 * finds an attachment by container or by VF. Writers hold the locks of attachment and VF (`lock.ts`).
 */
export class Journal {
  readonly #files: RecordFiles<Attachment>;

  /** @param stateDir created on the first write. */
  constructor(stateDir: string) {
    this.#files = new RecordFiles(join(stateDir, "attachments"), {
      title: "the journal",
      tornPrefix: "",
      parse: parseNamed,
    });
  }

  find(containerId: string, ifname: string): Attachment | undefined {
    const key = `${attachmentKey(containerId, ifname)}@`;
    return this.#files.select((name) => name.startsWith(key)).at(0);
  }

  /** What a call attached under a name, even if that is a set's: this reads every record, so it is for a DEL that finds none. */
  ofSet(containerId: string, via: string): Attachment[] {
    return this.all().filter((a) => a.containerId === containerId && a.set?.via === via);
  }

  /**
   * Whether all rails of an attachment's set were attached, or it is not part of one: the first rail's record is the last to
   * say that it is attached, and the last to be deleted.
   */
  isWhole({ containerId, set }: Attachment): boolean {
    return !set || this.find(containerId, set.rails[0] ?? "")?.phase === "attached";
  }

  /** The VF of an attachment according to its record, whose file is not read. */
  deviceOf(containerId: string, ifname: string): string | undefined {
    const key = `${attachmentKey(containerId, ifname)}@`;
    const name = this.#files.names().find((one) => one.startsWith(key));
    return name && pciOf(name);
  }

  /** The VF of an incomplete record, in place or set aside: its name says that much. */
  lostDevice(containerId: string, ifname: string): string | undefined {
    const key = `${attachmentKey(containerId, ifname)}@`;
    return [...this.#files.names(), ...this.#files.tornNames()]
      .find((name) => name.startsWith(key))
      ?.slice(key.length, -".json".length);
  }

  /** Records of a VF: at most one of this boot that is not `returned`. */
  ofDevice(pci: string): Attachment[] {
    const suffix = `@${pci}.json`;
    return this.#files.select((name) => name.endsWith(suffix));
  }

  /** Records of some VFs; others' are not read. */
  ofDevices(pcis: ReadonlySet<string>): Attachment[] {
    return this.#files.select((name) => pcis.has(pciOf(name)));
  }

  all(): Attachment[] {
    return this.#files.select(() => true);
  }

  /** Number of records, without reading them. */
  count(): number {
    return this.#files.names().length;
  }

  /** PCI addresses of VFs that are on record, without reading the records: including those only `returned`. */
  devices(): Set<string> {
    return new Set(this.#files.names().map(pciOf));
  }

  /** PCI addresses of VFs that are on record in sets, including those only `returned`. Reads all records. */
  devicesInSets(): Set<string> {
    return new Set(this.all().flatMap(({ set, device }) => (set ? [device.pci] : [])));
  }

  /** Records of this boot that may have the VF. */
  activeOwners(pci: string, bootId: string): Attachment[] {
    return this.ofDevice(pci).filter((a) => a.phase !== "returned" && a.bootId === bootId);
  }

  /**
   * Writes a new record whole. That survives a kill; to survive a power cut call sync() too.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the old record, if any, is still there.
   */
  write(attachment: Attachment): void {
    this.#files.write(fileName(attachment), JSON.stringify(attachment), { synced: false });
  }

  /**
   * Appends a change to a record, as a line of its own. A record that is not on disk is written whole.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the record is unchanged.
   */
  update(attachment: Attachment, change: Partial<Attachment>): void {
    if (!this.#files.append(fileName(attachment), change, { synced: false })) this.write({ ...attachment, ...change });
  }

  /** The same for a record that is on disk: of what another plugin attached none is made. */
  amend(attachment: Attachment, change: Partial<Attachment>): void {
    this.#files.append(fileName(attachment), change, { synced: false });
  }

  /** Syncs written records to the disk. What a reboot resets anyway needs no sync. */
  async sync(attachments: readonly Attachment[]): Promise<void> {
    const [name = "", ...others] = attachments.map(fileName);
    if (others.length === 0) this.#files.sync(name);
    else await this.#files.syncTogether([name, ...others]);
  }

  /** Idempotent. Not synced: a record that reappears after a power cut is of another boot and owns nothing. */
  forget(attachment: Attachment): void {
    this.#files.forget(fileName(attachment));
  }

  /** The record as it is now; undefined once its attachment has ended. */
  reread(attachment: Attachment): Attachment | undefined {
    return this.#files.read(fileName(attachment));
  }

  /** The records of VFs, by default of all, one at a time; incomplete ones are set aside: {@link RecordFiles.sweep}. */
  sweep(onTorn: (torn: Torn) => void, isOurs: (pci: string) => boolean = () => true): Generator<Attachment> {
    return this.#files.sweep(onTorn, (name) => isOurs(pciOf(name)));
  }
}

const pciOf = (name: string): string => name.slice(name.indexOf("@") + 1, -".json".length);
const fileName = (a: Attachment): string => `${attachmentKey(a.containerId, a.ifname)}@${a.device.pci}.json`;

function parseNamed(text: string, name: string): Attachment {
  const attachment = parseAttachment(text);
  if (fileName(attachment) !== name) throw new SyntaxError(`it belongs in ${fileName(attachment)}`);
  return attachment;
}
