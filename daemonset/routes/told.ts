import { deleteNeighbour, listNeighbours, parseNeighbour, tellNeighbour } from "../../kernel/neighbour-entry.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { ROUTE_PROTOCOL } from "./plan.ts";

/** Where a peer is on a rail. */
export interface ToldNeighbour {
  readonly ip: string;
  readonly mac: string;
}

/**
 * Makes the neighbours of a link that we have told those that are wanted: else a table that is full (1,024 entries for the whole
 * machine by default) answers no new peer's question. Idempotent.
 */
export function tellNeighbours(index: number, wanted: readonly ToldNeighbour[], rtnl: NetlinkConnection): void {
  const told = new Map(listTold(index, rtnl).map(({ ip, mac }) => [ip, mac]));
  const kept = new Set(wanted.map(({ ip }) => ip));
  rtnl.batch([
    ...wanted
      .filter(({ ip, mac }) => told.get(ip) !== mac)
      .map(({ ip, mac }) => tellNeighbour(index, ip, mac, ROUTE_PROTOCOL)),
    ...[...told.keys()].filter((ip) => !kept.has(ip)).map((ip) => deleteNeighbour(index, ip)),
  ]);
}

/** Forgets all that we have told, of every link. Idempotent. */
export function forgetNeighbours(rtnl: NetlinkConnection): void {
  rtnl.batch(listTold(0, rtnl).map(({ index, ip }) => deleteNeighbour(index, ip)));
}

const listTold = (index: number, rtnl: NetlinkConnection) =>
  rtnl
    .dump(listNeighbours(index), { evenInterrupted: true })
    .map(parseNeighbour)
    .filter(({ isTold, protocol }) => isTold && protocol === ROUTE_PROTOCOL);
