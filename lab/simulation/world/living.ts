import type { Change, Etcd } from "../api/etcd.ts";
import type { Obj } from "../api/objects.ts";
import { POOLS, RESERVED } from "./kinds.ts";

/** On a pool whose records decide, not its reservations. */
export const RECORDS_DECIDE = "railnet.io/records-decide";

/** An interface of a sandbox: its ADD has succeeded, and its end has not begun. */
export interface Living {
  readonly node: string;
  readonly podref: string;
  readonly podUid: string;
  readonly containerId: string;
  readonly ifname: string;
  readonly ip: string;
  /** `network_name`. */
  readonly network: string;
  readonly sinceMs: number;
  /** Its node took its VF down: it has the address, and does not use it. */
  isFenced: boolean;
  /** Its reservation was taken away, and not put back yet: by whom, and when. */
  bared?: { readonly by: Taker; readonly sinceMs: number } | undefined;
}

/** `hand`: somebody deleted this one; `loss`: all went, with their definition or by a restore. */
export type Taker = "hand" | "loss";

export interface LivingOptions {
  fail(rule: string, detail: string): void;
  nowMs(): number;
  /** Whether a node was cut off, or without agent, at any time since. */
  wasAway(node: string, sinceMs: number): boolean;
  /** Told of an address that two have, which no rule forbids: a person has to end the first. */
  onExcused(first: Living): void;
}

/** The sandboxes that live, whatever anybody else knows of them, and what must hold of their addresses at any time. */
export class LivingSandboxes {
  readonly #all = new Set<Living>();
  readonly #options: LivingOptions;
  /** What the world does now is no fault of the product. */
  taker: Taker | undefined;

  constructor(options: LivingOptions) {
    this.#options = options;
  }

  [Symbol.iterator](): Iterator<Living> {
    return this.#all.values();
  }

  /** Who uses an address on the rail. */
  user(network: string, ip: string): Living | undefined {
    return [...this.#all].find((one) => one.network === network && one.ip === ip && !one.isFenced);
  }

  begun(living: Living): void {
    const other = this.user(living.network, living.ip);
    this.#all.add(living);
    if (other) this.#doubled(other, living);
  }

  #doubled(first: Living, second: Living): void {
    if (this.#isExcused(first)) this.#options.onExcused(first);
    else this.#options.fail("one address, two living sandboxes", `${first.ip}: ${tellOf(first)} and ${tellOf(second)}`);
  }

  /**
   * The promise does not hold for an address whose reservation somebody deletes by hand, until it is put back; nor after a
   * loss of all for a node that could not put its own back.
   */
  #isExcused({ bared, node }: Living): boolean {
    return bared !== undefined && (bared.by === "hand" || this.#options.wasAway(node, bared.sinceMs));
  }

  fenced(containerId: string, ifname: string, isFenced: boolean): void {
    for (const one of this.#all) {
      if (one.containerId !== containerId || one.ifname !== ifname || one.isFenced === isFenced) continue;
      const other = isFenced ? undefined : this.user(one.network, one.ip);
      one.isFenced = isFenced;
      if (other) this.#doubled(other, one);
    }
  }

  ended(containerId: string): void {
    for (const one of this.#all) if (one.containerId === containerId) this.#all.delete(one);
  }

  endedOn(node: string): void {
    for (const one of this.#all) if (one.node === node) this.#all.delete(one);
  }

  /** Nobody of the product takes away what a living sandbox has, not even for a moment. */
  saw(change: Change): void {
    const { plural, object, prev } = change;
    if (plural === POOLS) return void this.#sawPool(change);
    if (plural !== RESERVED) return;
    const after = object && this.#holder(object["spec"].containerid, object.metadata.name);
    if (after) after.bared = undefined;
    const before = prev && this.#holder(prev["spec"].containerid, prev.metadata.name);
    if (!before || before === after) return;
    if (this.taker) before.bared = { by: this.taker, sinceMs: this.#options.nowMs() };
    else if (!before.isFenced && !isQuarantine(object))
      this.#options.fail(
        "a living sandbox loses its reservation",
        `${tellOf(before)}: ${object ? `to ${object["spec"].podref}` : "deleted"}`,
      );
  }

  /** Where the records of a pool decide, they are what a sandbox has. */
  #sawPool({ object, prev }: Change): void {
    if (this.taker || ![object, prev].every((one) => one?.metadata.annotations?.[RECORDS_DECIDE])) return;
    const after: Records = object!["spec"].allocations ?? {};
    for (const [key, { id }] of Object.entries<Records[string]>(prev!["spec"].allocations ?? {})) {
      const before =
        after[key]?.id === id ? undefined : this.#holder(id, addressAt(object!["spec"].range, Number(key)));
      if (before) this.#options.fail("a living sandbox loses its record", tellOf(before));
    }
  }

  /** After a restore: who has a reservation no more. */
  compare(etcd: Etcd): void {
    const all = [...etcd.all(RESERVED).values()];
    const has = ({ containerId, ip }: Living) =>
      all.some(({ metadata, spec }: Obj) => spec.containerid === containerId && metadata.name.endsWith(ip));
    const sinceMs = this.#options.nowMs();
    for (const one of this.#all) one.bared = has(one) ? undefined : (one.bared ?? { by: "loss", sinceMs });
  }

  #holder(containerId: string, reservation: string): Living | undefined {
    return [...this.#all].find((one) => one.containerId === containerId && reservation.endsWith(one.ip));
  }
}

type Records = Readonly<Record<string, { readonly id: string }>>;

export function addressAt(range: string, offset: number): string {
  const base = range.split("/")[0]!.split(".").map(Number);
  return [...base.slice(0, 3), base[3]! + offset].join(".");
}

/** Whoever takes it out of there must ask the rail first. */
const isQuarantine = (object: Change["object"]): boolean => object?.["spec"].podref === "quarantined";

export const tellOf = ({ podref, containerId, ifname, node, sinceMs }: Living): string =>
  `${podref} (${ifname}, ${containerId.slice(0, 8)}) on ${node} since ${(sinceMs / 1000).toFixed(0)} s`;
