import { type Address, inSpan, parseCidr, parseIp, type Span, spanOf } from "../../../ipam/address.ts";
import { ipOfReservation } from "../../../ipam/whereabouts/names.ts";
import { ipOf, type Place } from "../../addresses/pool-place.ts";
import type { Reserved } from "../../addresses/reserved.ts";

/** The address that a reservation is for. */
export interface ReservedAddress {
  /** Canonical; empty when the object's name tells none. */
  readonly ip: string;
  /** In full, where the label may be a hash. */
  readonly networkName: string;
  /** Of the pool that the address is in: as the reservation says, else as its address says; empty when there is none. */
  readonly poolName: string;
}

interface Mapped {
  readonly place: Place;
  readonly isV6: boolean;
  readonly span: Span;
}

/** What names and addresses mean, given the pools that there are. */
export class Atlas {
  readonly #byName = new Map<string, Place>();
  readonly #byNetwork = new Map<string, Mapped[]>();

  constructor(places: readonly Place[]) {
    for (const place of places) {
      const { name, network, cidr: text } = place.pool;
      const cidr = parseCidr(text);
      if (!cidr) continue;
      this.#byName.set(name, place);
      const others = this.#byNetwork.get(network) ?? [];
      others.push({ place, isV6: cidr.isV6, span: spanOf(cidr) });
      this.#byNetwork.set(network, others);
    }
  }

  addressOf(reserved: Reserved): ReservedAddress {
    const place = this.#byName.get(reserved.pool);
    const ip = place && ipOf(reserved, place.pool);
    if (ip) return { ip, networkName: place.pool.network, poolName: place.pool.name };
    return this.#ofPools(reserved) ?? ofName(reserved);
  }

  /** Networks that have an address in one of their pools. */
  networksOf(ip: string): string[] {
    const address = parseIp(ip);
    if (!address) return [];
    return [...this.#byNetwork].filter(([, pools]) => pools.some(containing(address))).map(([network]) => network);
  }

  /** The narrowest pool of a network that has an address. */
  placeOf(network: string, ip: string): Place | undefined {
    const address = parseIp(ip);
    const around = address && this.#byNetwork.get(network)?.filter(containing(address));
    return around?.toSorted((a, b) => (sizeOf(a.span) < sizeOf(b.span) ? -1 : 1))[0]?.place;
  }

  /** Whereabouts writes no labels: the network is the one that makes the name an address of one of its pools. */
  #ofPools({ metadata: { name } }: Reserved): ReservedAddress | undefined {
    for (const networkName of this.#byNetwork.keys()) {
      const ip = ipOfReservation(networkName, name);
      const place = ip === undefined ? undefined : this.placeOf(networkName, ip);
      if (ip && place) return { ip, networkName, poolName: place.pool.name };
    }
    return undefined;
  }
}

const containing =
  ({ isV6, value }: Address) =>
  (one: Mapped): boolean =>
    one.isV6 === isV6 && inSpan(value, one.span);

const sizeOf = ({ first, last }: Span): bigint => last - first;

/** No pool has it. */
function ofName({ metadata: { name }, network, pool: poolName }: Reserved): ReservedAddress {
  const [, given = ""] = /^(?:(.*)-)?\d+\.\d+\.\d+\.\d+$/.exec(name) ?? [];
  for (const networkName of [network, given]) {
    const ip = ipOfReservation(networkName, name);
    if (ip) return { ip, networkName, poolName };
  }
  return { ip: "", networkName: network, poolName };
}
