import type { Log } from "../../cni/host.ts";
import type { Claim, Owner } from "../../ipam/store/store.ts";
import { dateOf } from "../../kubernetes/clock.ts";
import type { Counters } from "./counters.ts";
import type { Events } from "./events.ts";
import type { FreedHistory } from "./freed.ts";
import type { GcPlan } from "./plan-gc.ts";

/** Two interfaces with one address: `user` is running with it, `holder` has its reservation. */
export interface Dispute {
  readonly ip: string;
  readonly pool: string;
  readonly user: Owner;
  readonly holder: Owner;
}

/** An ongoing dispute is reported again after this time. */
const REPEAT_MS = 600_000;

/** Reports what the agent does to addresses and finds out about them: as counts, in the log, and as events of their pools. */
export class AddressEvents {
  readonly #log: Log;
  readonly #events: Pick<Events, "onPool">;
  readonly #counters: Counters;
  readonly #history: FreedHistory;
  readonly #said = new Map<string, number>();

  constructor(log: Log, events: Pick<Events, "onPool">, counters: Counters, history: FreedHistory) {
    this.#log = log;
    this.#events = events;
    this.#counters = counters;
    this.#history = history;
  }

  /** An address was freed, with the evidence and its time. */
  freed({ reserved, evidence, sinceMs }: GcPlan["due"][number]): void {
    const { pool, podref, ifname, containerId: containerID, node: owner } = reserved;
    const reservation = reserved.metadata.name;
    const freed = {
      reservation,
      pool,
      podref,
      ifname,
      containerID,
      owner,
      evidence,
      since: dateOf(sinceMs).toISOString(),
      at: new Date().toISOString(),
    };
    this.#counters.freed++;
    this.#history.add(freed);
    this.#log.info(freed, "address freed: no longer in use");
    this.#events.onPool("Normal", pool, "AddressFreed", `${reservation} of ${podref} (${ifname}): ${evidence}`);
  }

  /** A running pod's reservation was missing, and has been restored. */
  putBack({ ip, pool, owner }: Claim): void {
    const { podref, ifname, containerId: containerID } = owner;
    this.#counters.putBack++;
    this.#log.warn(
      { ip, pool: pool.name, podref, ifname, containerID },
      "reservation of a running pod had been deleted: restored",
    );
    const message = `${ip} of ${podref} (${ifname}): its reservation had been deleted`;
    this.#events.onPool("Warning", pool.name, "ReservationPutBack", message);
  }

  /** The same where a claim consists only of a record in the pool. */
  recordPutBack({ ip, pool, owner: { podref, ifname, containerId: containerID } }: Claim): void {
    this.#counters.putBack++;
    this.#log.warn(
      { ip, pool: pool.name, podref, ifname, containerID },
      "record of a running pod had been deleted: restored",
    );
  }

  /** Two interfaces have one address. Nothing is taken from either: a human has to decide. */
  duplicate({ ip, pool, user, holder }: Dispute): void {
    const key = [pool, ip, user.podref, user.ifname, holder.podref, holder.ifname].join(" ");
    const saidMs = this.#said.get(key);
    const nowMs = performance.now();
    if (saidMs !== undefined && nowMs - saidMs < REPEAT_MS) return;
    this.#said.set(key, nowMs);
    if (saidMs === undefined) this.#counters.duplicates++;
    this.#log.warn(
      { ip, pool, user, holder },
      "DUPLICATE ADDRESS: a running pod has an address that is reserved for another",
    );
    const message = `${ip} is in use by ${user.podref} (${user.ifname}) and reserved for ${holder.podref} (${holder.ifname}); delete one of them`;
    this.#events.onPool("Warning", pool, "DuplicateAddress", message);
  }
}
