import { join } from "node:path";
import { attachmentKey, RecordFiles, type Torn } from "../records/record-files.ts";
import { parseRecord } from "../records/record-text.ts";
import type { Storage } from "./storage.ts";
import type { Owner, Pool } from "./store/store.ts";

/**
 * The addresses of the cluster that one attachment has, or may have.
 *
 * - `claiming`: ADD did not finish; `addresses` are candidates that may have been claimed.
 * - `held`: ADD finished.
 * - `releasing`: DEL came, or ADD failed: to be released, then deleted.
 */
export interface ClaimRecord {
  readonly version: 1;
  readonly phase: "claiming" | "held" | "releasing";
  /** Name of the network configuration, for GC. */
  readonly network: string;
  /** For a rail of a set: the name that the runtime knows instead of the owner's. */
  readonly via?: string;
  readonly storage: Storage;
  readonly owner: Owner;
  readonly netns: string;
  /** Inode of the namespace at ADD, 0 when it had none: a different one under the same path is another sandbox. */
  readonly netnsInode: number;
  /** ISO 8601, time of the last change. */
  readonly since: string;
  readonly addresses: readonly { readonly pool: Pool; readonly ip: string }[];
  /**
   * With `releasing`: its ADD did not complete. `unclear`: a request for one of `addresses` was never answered, and may
   * still arrive; what is not there yet is looked for once more, {@link SETTLE_MS} after `since`, before the record is deleted.
   */
  readonly unfinished?: "answered" | "unclear";
  /** Pools to search by container ID if the claims are not on record (Whereabouts made them). */
  readonly search?: readonly Pool[];
}

/** A request that the API server has not executed by then never will be: its own limit is a minute (`--request-timeout`). */
export const SETTLE_MS = 65_000;

/**
 * The claims of a node on disk, one file per attachment. Writers hold the attachment's lock.
 */
export class ClaimJournal {
  readonly #files: RecordFiles<ClaimRecord>;

  /** @param stateDir created on the first write. */
  constructor(stateDir: string) {
    this.#files = new RecordFiles(join(stateDir, "ipam"), {
      title: "the journal of addresses",
      tornPrefix: "ipam-",
      parse: parseClaimRecord,
    });
  }

  find(containerId: string, ifname: string): ClaimRecord | undefined {
    return this.#files.read(fileName({ containerId, ifname }));
  }

  /** Every complete record, one at a time; others are set aside: {@link RecordFiles.sweep}. */
  all(onTorn: (torn: Torn) => void = () => {}): Generator<ClaimRecord> {
    return this.#files.sweep(onTorn);
  }

  /**
   * Writes a new record whole. That survives a kill and a power cut.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the old record, if any, is still there.
   */
  write(record: ClaimRecord): void {
    this.#files.write(fileName(record.owner), JSON.stringify(record), { synced: true });
  }

  /**
   * Appends a change to a record, as a line of its own. A record that is not on disk is written whole.
   *
   * @throws {CniError} 5 when the disk is full or read-only; the record is unchanged.
   */
  update(record: ClaimRecord, change: Partial<ClaimRecord>, { synced = true } = {}): void {
    if (!this.#files.append(fileName(record.owner), change, { synced })) this.write({ ...record, ...change });
  }

  /** Idempotent. Not synced: a record that reappears after a power cut is released once more, which does nothing. */
  forget({ owner }: ClaimRecord): void {
    this.#files.forget(fileName(owner));
  }
}

const fileName = ({ containerId, ifname }: Pick<Owner, "containerId" | "ifname">): string =>
  `${attachmentKey(containerId, ifname)}.json`;

/**
 * @throws {LaterVersionError}
 * @throws {SyntaxError} when the text is not a complete record of a version that we read.
 */
export function parseClaimRecord(text: string): ClaimRecord {
  const record = parseRecord(text) as Partial<ClaimRecord>;
  if (!["claiming", "held", "releasing"].includes(record.phase ?? "")) throw new SyntaxError("phase is unknown");
  const { owner, storage, addresses } = record;
  if (typeof owner?.containerId !== "string" || typeof owner.ifname !== "string" || typeof owner.podref !== "string")
    throw new SyntaxError("owner is missing");
  if (typeof storage?.kind !== "string" || !Array.isArray(addresses)) throw new SyntaxError("storage is missing");
  return record as ClaimRecord;
}
