import type { Access, ReadAccess } from "./access.ts";
import type { openTransport } from "./open-transport.ts";
import type { HttpTransport } from "./transport.ts";

/** As client-go: a token file is read again once a minute. */
const KEEP_MS = 60_000;

export interface Open {
  readonly access: Access;
  readonly send: HttpTransport;
}

/** Keeps access and connections until they expire or are refused. */
export class Session {
  readonly #read: ReadAccess;
  readonly #openTransport: typeof openTransport;
  #open: Open | undefined;
  #readAt = 0;
  #reading: Promise<Open> | undefined;

  constructor(read: ReadAccess, open: typeof openTransport) {
    this.#read = read;
    this.#openTransport = open;
  }

  /** For messages. */
  get server(): string {
    return this.#open?.access.server ?? "the API server";
  }

  /** @param refused what the server refused: read again, unless that has already happened. */
  async open(refused?: Open): Promise<Open> {
    const isFresh = refused !== undefined && refused === this.#open;
    if (this.#open && !isFresh && performance.now() - this.#readAt < KEEP_MS) return this.#open;
    this.#reading ??= this.#renew(isFresh).finally(() => (this.#reading = undefined));
    return this.#reading;
  }

  async #renew(isFresh: boolean): Promise<Open> {
    try {
      const access = await this.#read(isFresh);
      const isSame = this.#open && transportKey(this.#open.access) === transportKey(access);
      const send = isSame ? this.#open!.send : await this.#openTransport(access.server, access.tls, access.headers);
      this.#open = { access, send };
    } catch (error) {
      // A file that is being replaced: what was read last may still be valid.
      if (!this.#open || isFresh) throw error;
    }
    this.#readAt = performance.now();
    return this.#open;
  }
}

const transportKey = ({ server, tls, headers }: Access): string =>
  JSON.stringify([server, tls, Object.values(headers).some((value) => typeof value !== "string")]);
