import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { deleteRoute, listMainRoutes, parseRoute, type RouteState, replaceRoute } from "../../kernel/route.ts";
import { isOurs, planRoutes, ROUTE_METRIC, ROUTE_PROTOCOL, type RouteChange, type WantedRoute } from "./plan.ts";

const MAIN = { table: 254, scope: 0, type: 1, priority: ROUTE_METRIC, protocol: ROUTE_PROTOCOL };

/** Our routes in the kernel's table main, and what else is there to the same destinations. */
export class RouteTable {
  readonly #rtnl: NetlinkConnection;
  /** As the kernel had them when it was looked at last, with what was changed since; by destination. */
  #known = new Map<string, RouteState[]>();
  changes = 0;

  constructor(rtnl: NetlinkConnection) {
    this.#rtnl = rtnl;
  }

  /** Looks at the kernel. @returns ours. */
  look(): readonly RouteState[] {
    const routes = this.#rtnl.dump(listMainRoutes(4)).map(parseRoute);
    this.#known = Map.groupBy(routes, ({ dst }) => dst);
    return routes.filter(isOurs);
  }

  /**
   * Makes routes to some destinations what is wanted: those of `destinations` that nobody wants go.
   *
   * @throws {NetlinkError} the first refusal; all other changes are made. Look again then.
   */
  set(wanted: readonly WantedRoute[], destinations: Iterable<string>): void {
    const kernel = [...new Set(destinations)].flatMap((dst) => this.#known.get(dst) ?? []);
    const { changes } = planRoutes(wanted, kernel);
    if (changes.length === 0) return;
    this.changes += changes.length;
    for (const change of changes) this.#note(change);
    this.#rtnl.batch(changes.map(messageOf));
  }

  /** All of ours go. */
  withdraw(): void {
    this.look();
    this.set([], this.own);
  }

  /** All of ours, whether wanted or not. */
  get own(): string[] {
    return [...this.#known].filter(([, routes]) => routes.some(isOurs)).map(([dst]) => dst);
  }

  /** A route of somebody else's to a destination. */
  foreign(dst: string): RouteState | undefined {
    return this.#known.get(dst)?.find((route) => !isOurs(route));
  }

  #note({ do: verb, route: { dst, src, hops } }: RouteChange): void {
    const others = (this.#known.get(dst) ?? []).filter((route) => !isOurs(route));
    this.#known.set(dst, verb === "delete" ? others : [...others, { ...MAIN, dst, src, hops }]);
  }
}

/** One that is gone already is as good. */
const messageOf = ({ do: verb, route: { dst, src, hops } }: RouteChange) =>
  verb === "replace"
    ? replaceRoute({ dst, src, hops, priority: ROUTE_METRIC, protocol: ROUTE_PROTOCOL })
    : ({ ...deleteRoute({ dst, priority: ROUTE_METRIC, protocol: ROUTE_PROTOCOL }), settled: "ESRCH" } as const);
