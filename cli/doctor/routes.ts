import type { RoutesReport } from "../../daemonset/routes/order.ts";
import { type DoctorFinding, named, note, wrong } from "./finding.ts";

const NAME = "nodes on rails";
/** The rest is counted. */
const NAMED = 5;

/** What an agent says of its routes over rails; nothing where no RailNetwork asks for them. Pure. */
export function routeFindings(report: RoutesReport | null): DoctorFinding[] {
  if (!report) return [];
  if (report.off) return named(NAME, [wrong(`no routes over rails: ${report.off}`)], "");
  const ways = Map.groupBy(report.peers.flatMap(({ ways }) => ways), ({ rail }) => rail); // biome-ignore format: one row
  const found = [...ways].flatMap(([rail, all]) => {
    const answering = all.filter(({ state }) => state === "up" || state === "suspect");
    const refused = answering.filter(({ isAdmitted }) => !isAdmitted).length;
    const count = `${answering.length - refused} of ${all.length} nodes are reached by ${rail}`;
    if ((answering.length - refused) * 2 < all.length && refused * 2 < all.length)
      return wrong(`${count}: look at its carrier (railnet status), then at the rail's switch`);
    if (refused > 0)
      return note(`${refused} nodes take in nothing that comes by ${rail} (railnet routes names them): look at rp_filter and firewall there, and at the MTU of the rail's switch`); // biome-ignore format: one row
    return [];
  });
  const foreign = report.peers.filter((peer) => peer.foreign !== undefined).map(({ node }) => node);
  if (foreign.length > 0)
    found.push(note(`another route to ${some(foreign)} is left alone: delete it where rails are to be used (ip route)`)); // biome-ignore format: one row
  const refused = report.refused.map(({ peer, rail, why }) => `${peer}${rail === undefined ? "" : ` by ${rail}`}: ${why}`); // biome-ignore format: one row
  if (refused.length > 0) found.push(note(`not used: ${some(refused, "; ")}`));
  return named(NAME, found, `${report.peers.length} nodes are reached by rails`);
}

const some = (list: readonly string[], between = ", "): string =>
  list.slice(0, NAMED).join(between) + (list.length > NAMED ? ` and ${list.length - NAMED} more` : "");
