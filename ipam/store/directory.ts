import * as fs from "node:fs";
import { makeDirectory } from "../../records/durable.ts";
import { AddressFiles } from "./address-files.ts";
import type { AddressLock } from "./address-lock.ts";
import { flockIn } from "./flock.ts";
import { claimed, concerns, released } from "./holding.ts";
import { foundIn, noSlices, takenOf } from "./memory.ts";
import {
  type Claim,
  type Owner,
  type Pool,
  type Released,
  type Sandbox,
  type SlicedRange,
  type Store,
  StoreError,
  type StoreFailure,
  type Taken,
} from "./store.ts";

/** Errors that persist until somebody changes something; any other errno may be temporary. */
const REFUSED = new Set(["EACCES", "EPERM", "EROFS", "ENOSPC", "EDQUOT", "ENOTDIR", "ENAMETOOLONG"]);
const ADVICE: Readonly<Record<string, string>> = {
  ENOSPC: "free space on that disk",
  EDQUOT: "free space on that disk",
  EROFS: "mount it writable",
};

/**
 * Allocations of one host, without a cluster: a directory with one file per address, which survives kill -9 and power cuts
 * at any instant. Operations on one address are serialized between processes by its lock.
 */
export class DirectoryStore implements Store {
  readonly #path: string;
  readonly #lock: AddressLock;
  readonly #networks = new Map<string, AddressFiles>();

  /** @param path created on the first claim. @param lock default: flock(1) on files below it. */
  constructor(path: string, lock: AddressLock = flockIn(path)) {
    this.#path = path;
    this.#lock = lock;
  }

  async taken(pool: Pool): Promise<Taken> {
    return this.#reading(pool, `list the addresses of ${pool.name}`, (files) => takenOf(pool, files.all()));
  }

  async claim(claim: Claim, signal?: AbortSignal): Promise<Owner | undefined> {
    const { pool, ip } = claim;
    return await this.#changing(pool, ip, `claim ${ip}`, signal, (files) => {
      const before = files.read(ip);
      const after = claimed(before, claim);
      if ("podref" in after) return after;
      files.write(ip, before, after);
      return undefined;
    });
  }

  async release({ pool, ip, owner }: Claim, signal?: AbortSignal): Promise<Released> {
    return await this.#changing(pool, ip, `release ${ip}`, signal, (files) => {
      const before = files.read(ip);
      const { outcome, rest } = released(before, pool, owner);
      if (outcome === "released") files.write(ip, before, rest);
      return outcome;
    });
  }

  async find(pool: Pool, who: Sandbox): Promise<Claim[]> {
    return this.#reading(pool, `search ${pool.name}`, (files) => foundIn(pool, files.all(), who));
  }

  async holder(pool: Pool, ip: string): Promise<Owner | undefined> {
    return this.#reading(pool, `look up ${ip}`, (files) => files.read(ip).find(concerns(pool))?.owner);
  }

  slice({ name }: SlicedRange): Promise<string> {
    return Promise.reject(noSlices(name));
  }

  async check(): Promise<void> {
    await this.#guarded("use", () => {
      makeDirectory(this.#path);
      fs.accessSync(this.#path, fs.constants.W_OK | fs.constants.X_OK);
      const { bavail, ffree, files } = fs.statfsSync(this.#path);
      if (bavail === 0 || (files > 0 && ffree === 0))
        throw Object.assign(new Error("no space left on device"), { code: "ENOSPC" });
    });
  }

  #of({ network }: Pool): AddressFiles {
    const files = this.#networks.get(network) ?? new AddressFiles(this.#path, network);
    this.#networks.set(network, files);
    return files;
  }

  #reading<T>(pool: Pool, what: string, read: (files: AddressFiles) => T): Promise<T> {
    return this.#guarded(what, () => read(this.#of(pool)));
  }

  #changing<T>(
    pool: Pool,
    ip: string,
    what: string,
    signal: AbortSignal | undefined,
    change: (files: AddressFiles) => T,
  ): Promise<T> {
    return this.#guarded(what, async () => {
      const files = this.#of(pool);
      using _ = await this.#lock(`${files.name}-${ip}`, `address ${ip} of ${this.#path}`, signal);
      return change(files);
    });
  }

  async #guarded<T>(what: string, work: () => T | Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      throw this.#toStoreError(what, error as NodeJS.ErrnoException);
    }
  }

  /** Anything without an errno comes from the lock: nothing has been done yet. */
  #toStoreError(what: string, error: NodeJS.ErrnoException): StoreError {
    const { code, message } = error;
    const kind: StoreFailure = REFUSED.has(String(code))
      ? "refused"
      : typeof code === "string"
        ? "unclear"
        : "unavailable";
    const advice = ADVICE[String(code)] ? `; ${ADVICE[String(code)]}` : "";
    return new StoreError(kind, `cannot ${what} in ${this.#path}: ${message}${advice}`, { cause: error });
  }
}
