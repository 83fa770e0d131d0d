import { isInNetwork, toNumber } from "../address.ts";
import { AddressSet } from "../address-set.ts";
import { claimed, concerns, type Holding, released } from "./holding.ts";
import {
  type Claim,
  type Owner,
  type Pool,
  type Released,
  type Sandbox,
  type SlicedRange,
  type Store,
  StoreError,
  type Taken,
} from "./store.ts";

/** Holdings by address; one map per network. */
export type Holdings = Map<string, readonly Holding[]>;

/** Allocations in this process's memory: for tests and simulations. */
export class MemoryStore implements Store {
  readonly #networks = new Map<string, Holdings>();

  async taken(pool: Pool): Promise<Taken> {
    return takenOf(pool, this.#of(pool));
  }

  async claim(claim: Claim): Promise<Owner | undefined> {
    const { pool, ip } = claim;
    const holdings = this.#of(pool);
    const after = claimed(holdings.get(ip) ?? [], claim);
    if ("podref" in after) return after;
    holdings.set(ip, after);
    return undefined;
  }

  async release({ pool, ip, owner }: Claim): Promise<Released> {
    const holdings = this.#of(pool);
    const { outcome, rest } = released(holdings.get(ip) ?? [], pool, owner);
    if (rest.length > 0) holdings.set(ip, rest);
    else holdings.delete(ip);
    return outcome;
  }

  async find(pool: Pool, who: Sandbox): Promise<Claim[]> {
    return foundIn(pool, this.#of(pool), who);
  }

  async holder(pool: Pool, ip: string): Promise<Owner | undefined> {
    return this.#of(pool).get(ip)?.find(concerns(pool))?.owner;
  }

  slice({ name }: SlicedRange): Promise<string> {
    return Promise.reject(noSlices(name));
  }

  async check(): Promise<void> {}

  #of({ network }: Pool): Holdings {
    const known = this.#networks.get(network);
    if (known) return known;
    const made: Holdings = new Map();
    this.#networks.set(network, made);
    return made;
  }
}

/** A snapshot of the holdings of one network, as one of its pools sees it. Later changes do not affect it. */
export function takenOf(pool: Pool, holdings: Holdings): Taken {
  const addresses = new AddressSet();
  const own = new Map<string, string[]>();
  for (const [ip, all] of holdings) {
    const held = isInNetwork(ip, pool.cidr) && all.find(concerns(pool));
    if (!held) continue;
    addresses.add(toNumber(ip));
    if (held.pool !== pool.name) continue;
    const key = interfaceKey(held.owner.podref, held.owner.ifname);
    own.set(key, [...(own.get(key) ?? []), ip]);
  }
  return {
    has: (address) => addresses.has(address),
    run: (address) => addresses.run(address),
    of: (podref, ifname) => inOrder(own.get(interfaceKey(podref, ifname)) ?? []),
    order: "lowest",
  };
}

const inOrder = (ips: readonly string[]): string[] => ips.toSorted((a, b) => (toNumber(a) < toNumber(b) ? -1 : 1));

/** Unambiguous, since neither second part contains a slash: `namespace/name` and `ifname`. */
export const interfaceKey = (podref: string, ifname: string): string => `${podref}/${ifname}`;

/** The claims of a sandbox through one pool. */
export function foundIn(pool: Pool, holdings: Holdings, who: Sandbox): Claim[] {
  return [...holdings].flatMap(([ip, all]) =>
    all
      .filter(({ pool: name, owner }) => name === pool.name && isSandbox(owner, who))
      .map(({ owner }) => ({ pool, ip, owner })),
  );
}

export const isSandbox = (owner: Owner, who: Sandbox): boolean =>
  owner.containerId === who.containerId && owner.ifname === who.ifname;

export const noSlices = (name: string): StoreError =>
  new StoreError(
    "refused",
    `cannot get a slice of "${name}": node_slice_size needs the Kubernetes store; configure "kubernetes", or leave node_slice_size out`,
  );
