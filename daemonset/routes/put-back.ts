import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { RouteTable } from "./route-table.ts";
import type { Settings } from "./settings.ts";
import { forgetNeighbours } from "./told.ts";

/** Routes, then neighbours, then settings, the last one first. What is not there is as good. Idempotent. */
export function putBack({ rtnl, settings }: { readonly rtnl: NetlinkConnection; readonly settings: Settings }): void {
  new RouteTable(rtnl).withdraw();
  forgetNeighbours(rtnl);
  settings.restore();
}
