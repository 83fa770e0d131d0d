import { ipOf, type RecordLocation } from "../../daemonset/addresses/record-location.ts";
import type { Reserved } from "../../daemonset/addresses/reserved.ts";
import { type Address, parseCidr, parseIp, widthOf } from "../../ipam/address.ts";
import { ipOfReservation } from "../../ipam/whereabouts/names.ts";

/** The address that a reservation is for. */
export interface ReservedAddress {
  /** Canonical; empty if the object's name does not tell. */
  readonly ip: string;
  /** In full, whereas the label may be a hash. */
  readonly networkName: string;
  /** Of the pool that contains the address: from the reservation, otherwise from its address; empty if there is none. */
  readonly poolName: string;
}

/** The pools of a network with the same prefix length, by their numbers without host bits. */
interface PrefixTable {
  readonly isV6: boolean;
  readonly hostBits: bigint;
  readonly locations: Map<bigint, RecordLocation>;
}

/** Resolves names and addresses, given the existing pools. With node slices there are thousands. */
export class AddressIndex {
  readonly #byName = new Map<string, RecordLocation>();
  /** The narrowest pools first. */
  readonly #byNetwork = new Map<string, PrefixTable[]>();

  constructor(locations: readonly RecordLocation[]) {
    for (const location of locations) {
      const { name, network, cidr: text } = location.pool;
      const cidr = parseCidr(text);
      if (!cidr) continue;
      this.#byName.set(name, location);
      const hostBits = BigInt(widthOf(cidr.isV6) - cidr.prefixBits);
      this.#table(network, cidr.isV6, hostBits).locations.set(cidr.value >> hostBits, location);
    }
    for (const tables of this.#byNetwork.values()) tables.sort((a, b) => Number(a.hostBits - b.hostBits));
  }

  addressOf(reserved: Reserved): ReservedAddress {
    const location = this.#byName.get(reserved.pool);
    const ip = location && ipOf(reserved, location.pool);
    if (ip) return { ip, networkName: location.pool.network, poolName: location.pool.name };
    return this.#ofPools(reserved) ?? ofName(reserved);
  }

  /** Networks with this address in one of their pools. */
  networksOf(ip: string): string[] {
    const address = parseIp(ip);
    return address ? [...this.#byNetwork.keys()].filter((network) => this.#find(network, address)) : [];
  }

  /** The narrowest pool of a network that contains an address. */
  locationOf(network: string, ip: string): RecordLocation | undefined {
    const address = parseIp(ip);
    return address && this.#find(network, address);
  }

  #find(network: string, { isV6, value }: Address): RecordLocation | undefined {
    for (const table of this.#byNetwork.get(network) ?? []) {
      const found = table.isV6 === isV6 ? table.locations.get(value >> table.hostBits) : undefined;
      if (found) return found;
    }
    return undefined;
  }

  #table(network: string, isV6: boolean, hostBits: bigint): PrefixTable {
    const tables = this.#byNetwork.get(network) ?? [];
    this.#byNetwork.set(network, tables);
    const known = tables.find((one) => one.isV6 === isV6 && one.hostBits === hostBits);
    if (known) return known;
    const table = { isV6, hostBits, locations: new Map<bigint, RecordLocation>() };
    tables.push(table);
    return table;
  }

  /** Whereabouts writes no labels: the network is the one for which the name is an address in one of its pools. */
  #ofPools({ metadata: { name } }: Reserved): ReservedAddress | undefined {
    for (const networkName of this.#byNetwork.keys()) {
      const ip = ipOfReservation(networkName, name);
      const location = ip === undefined ? undefined : this.locationOf(networkName, ip);
      if (ip && location) return { ip, networkName, poolName: location.pool.name };
    }
    return undefined;
  }
}

/** For an address in no pool. */
function ofName({ metadata: { name }, network, pool: poolName }: Reserved): ReservedAddress {
  const [, given = ""] = /^(?:(.*)-)?\d+\.\d+\.\d+\.\d+$/.exec(name) ?? [];
  for (const networkName of [network, given]) {
    const ip = ipOfReservation(networkName, name);
    if (ip) return { ip, networkName, poolName };
  }
  return { ip: "", networkName: network, poolName };
}
