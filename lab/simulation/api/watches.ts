import type { Change, Etcd } from "./etcd.ts";
import { apiVersionOf, type Kind, type Obj, textOf } from "./objects.ts";

export interface Watcher {
  readonly kind: Kind;
  readonly matches: (object: Obj) => boolean;
  readonly metadataOnly: boolean;
  /** What was before is known. */
  readonly fromRev: number;
  /** One line of the stream. */
  readonly send: (line: string) => void;
  readonly end: () => void;
}

/** The watches of an API server: each line of each stream, when it is due. */
export class Watches {
  readonly #etcd: Etcd;
  readonly #all = new Set<Watcher>();

  constructor(etcd: Etcd) {
    this.#etcd = etcd;
  }

  /** Sends what came since. @returns whether it goes on; else it was told why not. */
  begin(watcher: Watcher): boolean {
    const { fromRev, send } = watcher;
    const { oldestRev, history } = this.#etcd;
    if (fromRev < oldestRev) {
      send(JSON.stringify({ type: "ERROR", object: expired(fromRev, oldestRev) }));
      return false;
    }
    this.#all.add(watcher);
    for (const change of history) offer(watcher, change);
    return true;
  }

  isLive(watcher: Watcher): boolean {
    return this.#all.has(watcher);
  }

  /** About once a minute. A watch from a version that is not there yet hears none: as the real server does. */
  bookmark({ kind, fromRev, send }: Watcher): void {
    if (this.#etcd.rev < fromRev) return;
    const metadata = { resourceVersion: String(this.#etcd.rev), creationTimestamp: null };
    send(JSON.stringify({ type: "BOOKMARK", object: { kind: kind.kind, apiVersion: apiVersionOf(kind), metadata } }));
  }

  tell(change: Change): void {
    for (const watcher of this.#all) offer(watcher, change);
  }

  /** Its client is gone. */
  forget(watcher: Watcher): void {
    this.#all.delete(watcher);
  }

  /** The server ends them. @param plural default: all. */
  end(plural?: string): void {
    for (const watcher of [...this.#all]) {
      if (plural && watcher.kind.plural !== plural) continue;
      this.#all.delete(watcher);
      watcher.end();
    }
  }
}

function offer({ kind, fromRev, matches, metadataOnly, send }: Watcher, { rev, plural, object, prev }: Change): void {
  if (plural !== kind.plural || rev <= fromRev) return;
  const [was, is] = [prev !== undefined && matches(prev), object !== undefined && matches(object)];
  if (!was && !is) return;
  const type = is ? (was ? "MODIFIED" : "ADDED") : "DELETED";
  // What goes comes as it last was, with the version of its going.
  const shown = is ? object! : { ...prev!, metadata: { ...prev!.metadata, resourceVersion: String(rev) } };
  send(`{"type":"${type}","object":${textOf(shown, metadataOnly)}}`);
}

const expired = (rev: number, oldest: number) => ({
  kind: "Status",
  apiVersion: "v1",
  metadata: {},
  status: "Failure",
  message: `too old resource version: ${rev} (${oldest})`,
  reason: "Expired",
  code: 410,
});
