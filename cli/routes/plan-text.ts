import type { OwnLook } from "../../daemonset/routes/own.ts";
import type { Peers } from "../../daemonset/routes/peers.ts";
import type { RoutePlan, WantedRoute } from "../../daemonset/routes/plan.ts";
import type { Setting } from "../../daemonset/routes/settings.ts";

/** One that would be changed. */
export interface DueSetting extends Setting {
  readonly now: string;
}

/** For people: settings, then routes, then what stays as it is. Pure. */
export function planLines(look: OwnLook, chosen: Peers, plan: RoutePlan, due: readonly DueSetting[]): string[] {
  const names = new Map(look.rails.map(({ index, netdev }) => [index, netdev]));
  const viaOf = ({ hops }: WantedRoute) => hops.map(({ index, gateway }) => `${gateway} dev ${names.get(index) ?? index}`).join(", "); // biome-ignore format: one row
  const lines = [
    ...due.map(({ key, ifname = "", value, now }) => `set    ${key.replace("IFNAME", ifname)}: ${now} -> ${value}`),
    ...plan.changes.map(({ do: verb, route }) => verb === "replace" ? `route  ${route.dst} src ${route.src} via ${viaOf(route)}` : `delete ${route.dst}`),
    ...plan.foreign.map(({ dst, protocol }) => `leave  ${dst}: another route is there (ip route show proto ${protocol})`),
    ...look.unusable.map(({ rail, why }) => `leave  ${rail} of this node: ${why}`),
    ...chosen.refused.map(({ peer, rail, why }) => `leave  ${peer}${rail === undefined ? "" : ` by ${rail}`}: ${why}`),
  ]; // biome-ignore format: rows
  return lines.length > 0 ? lines : ["nothing: settings and routes are as they would be"];
}
