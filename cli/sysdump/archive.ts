import { closeSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { constants, createGzip, type Gzip } from "node:zlib";
import { TAR_END, type TarEntry, tarEntry } from "./tar.ts";

/** An archive that is written while it is created. It gets its name only when it is complete; readable for its owner alone. */
export class Archive implements Disposable {
  readonly #to: string | undefined;
  readonly #fd: number;
  readonly #gzip: Gzip;
  readonly #folder: string;
  readonly #seconds = Math.floor(Date.now() / 1000);
  readonly #done: Promise<void>;
  #bytes = 0;
  #isOpen = true;

  /**
   * @param to path, `-` for standard output.
   * @param folder the directory into which the archive is unpacked.
   */
  constructor(to: string, folder: string) {
    this.#to = to === "-" ? undefined : to;
    this.#fd = this.#to === undefined ? 1 : openSync(`${this.#to}.new`, "w", 0o600);
    this.#folder = folder;
    this.#gzip = createGzip({ level: constants.Z_DEFAULT_COMPRESSION });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    this.#done = promise;
    promise.catch(() => {}); // close() reports it
    this.#gzip.on("data", (piece: Buffer) => {
      try {
        this.#write(piece);
      } catch (error) {
        reject(error);
      }
    });
    this.#gzip.on("end", resolve);
    this.#gzip.on("error", reject);
  }

  add({ path, content }: TarEntry): void {
    this.#gzip.write(tarEntry({ path: `${this.#folder}/${path}`, content }, this.#seconds));
  }

  /** @returns its length in bytes. @throws {Error} when it could not be written. */
  async close(): Promise<number> {
    this.#gzip.end(TAR_END);
    await this.#done;
    if (this.#to !== undefined) {
      closeSync(this.#fd);
      renameSync(`${this.#to}.new`, this.#to);
    }
    this.#isOpen = false;
    return this.#bytes;
  }

  /** Leaves nothing incomplete behind. */
  [Symbol.dispose](): void {
    if (!this.#isOpen || this.#to === undefined) return;
    closeSync(this.#fd);
    rmSync(`${this.#to}.new`, { force: true });
  }

  #write(piece: Buffer): void {
    for (let at = 0; at < piece.length; ) {
      try {
        at += writeSync(this.#fd, piece, at);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== "EAGAIN") throw error; // a pipe that was made non-blocking
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2);
      }
    }
    this.#bytes += piece.length;
  }
}
