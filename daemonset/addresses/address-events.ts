import type { Log } from "../../cni/host.ts";
import type { Owner } from "../../ipam/store/store.ts";
import type { Counters } from "./counters.ts";
import type { Events } from "./events.ts";

/** Two interfaces and one address: `user` lives with it, `holder` has its reservation. */
export interface Dispute {
  readonly ip: string;
  readonly pool: string;
  readonly user: Owner;
  readonly holder: Owner;
}

/** A dispute that goes on is said again after this time. */
const REPEAT_MS = 600_000;

/** Says loudly that an address has two owners. Nothing is taken from either: that is for a human to decide. */
export class Disputes {
  readonly #log: Log;
  readonly #events: Events;
  readonly #counters: Counters;
  readonly #said = new Map<string, number>();

  constructor(log: Log, events: Events, counters: Counters) {
    this.#log = log;
    this.#events = events;
    this.#counters = counters;
  }

  say({ ip, pool, user, holder }: Dispute): void {
    const key = [pool, ip, user.podref, user.ifname, holder.podref, holder.ifname].join(" ");
    const saidMs = this.#said.get(key);
    const nowMs = performance.now();
    if (saidMs !== undefined && nowMs - saidMs < REPEAT_MS) return;
    this.#said.set(key, nowMs);
    if (saidMs === undefined) this.#counters.duplicates++;
    this.#log.warn(
      { ip, pool, user, holder },
      "DUPLICATE ADDRESS: a living pod has an address that is reserved for another one",
    );
    const message = `${ip} is in use by ${user.podref} (${user.ifname}) and reserved for ${holder.podref} (${holder.ifname}); end one of them`;
    this.#events.onPool("Warning", pool, "DuplicateAddress", message);
  }
}
