import type { Hop, RouteState } from "../../kernel/route.ts";

/** Marks our routes (`proto 94` in ip(8)), so that nobody else's is ever touched. */
export const ROUTE_PROTOCOL = 94;
/** A metric of our own: a route of another one is another route, that a replace of ours leaves alone. */
export const ROUTE_METRIC = 94;

/** A way to a peer's primary address over some rails. */
export interface WantedRoute {
  /** `10.99.0.7/32`, as the kernel writes it. */
  readonly dst: string;
  /** The node's own primary address: else a packet would have a rail's. */
  readonly src: string;
  /** At least one. */
  readonly hops: readonly Hop[];
}

export type RouteChange = { readonly do: "replace" | "delete"; readonly route: WantedRoute };

export interface RoutePlan {
  readonly changes: readonly RouteChange[];
  /** Destinations that have a route of somebody else's: it is left alone, and ours gives way. */
  readonly foreign: readonly RouteState[];
}

/**
 * What makes the kernel's routes of table main those that are wanted. Ours are changed by `replace` alone, so that no packet finds
 * none; those that nobody wants go last. Applied to what it leads to it is empty. Pure.
 *
 * @param kernel of all protocols, or at least all of those to wanted destinations and all of ours.
 */
export function planRoutes(wanted: readonly WantedRoute[], kernel: readonly RouteState[]): RoutePlan {
  const ours = kernel.filter(isOurs);
  const destinations = new Set(wanted.map(({ dst }) => dst));
  const foreign = kernel.filter((route) => !isOurs(route) && destinations.has(route.dst));
  const taken = new Set(foreign.map(({ dst }) => dst));
  const due = wanted.filter(({ dst }) => !taken.has(dst)).map((route) => ({ ...route, hops: inOrder(route.hops) }));
  const found = new Map(ours.map((route) => [route.dst, asWanted(route)]));
  const kept = new Set(due.map(({ dst }) => dst));
  return {
    changes: [
      ...due
        .filter((route) => !isSame(route, found.get(route.dst)))
        .map((route) => ({ do: "replace" as const, route })),
      ...[...found.values()].filter(({ dst }) => !kept.has(dst)).map((route) => ({ do: "delete" as const, route })),
    ],
    foreign,
  };
}

/** Whether it bears our protocol and metric: with either alone it is somebody else's. */
export const isOurs = ({ protocol, priority }: RouteState): boolean =>
  protocol === ROUTE_PROTOCOL && priority === ROUTE_METRIC;

/** Also of one hop, which the kernel reports like any plain route. */
function asWanted({ dst, src = "", hops, index, gateway }: RouteState): WantedRoute {
  const only = index === undefined ? [] : [{ index, gateway: gateway ?? "", weight: 1 }];
  return { dst, src, hops: inOrder(hops ?? only) };
}

/** The same order whatever came back last: flows are spread by place, and a change of order moves them all. */
const inOrder = (hops: readonly Hop[]): Hop[] =>
  hops
    .map(({ index, gateway, weight = 1 }) => ({ index, gateway, weight }))
    .toSorted((a, b) => a.index - b.index || (a.gateway < b.gateway ? -1 : 1));

function isSame(wanted: WantedRoute, found: WantedRoute | undefined): boolean {
  return found !== undefined && found.src === wanted.src && textOf(found.hops) === textOf(wanted.hops);
}

/** A weight counts beside other hops alone. */
const textOf = (hops: readonly Hop[]): string =>
  hops.map(({ index, gateway, weight }) => `${index} ${gateway} ${hops.length > 1 ? weight : 1}`).join();
