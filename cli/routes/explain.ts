import type { RoutesReport, WayReport } from "../../daemonset/routes/order.ts";

/** Why a peer that answers is not used. */
export const REFUSED =
  "it answers ARP there, and takes in nothing for its primary address: look at rp_filter and firewall of that node, and at the MTU of the switch";

/** Why this node sends to another as it does, a sentence for each rail. Pure. */
export function explain(report: RoutesReport, node: string): string {
  if (report.off) return `no routes over rails: ${report.off}`;
  const peer = report.peers.find((one) => one.node === node);
  const refused = report.refused.filter((one) => one.peer === node);
  const why = refused.map(({ rail, why }) => (rail === undefined ? why : `${rail}: not used: ${why}`));
  if (!peer && refused.length === 0)
    return `${node} goes by the normal network: it has no RailPeer: no agent runs there with nodes.routes on, or it has none of the rails`;
  if (!peer) return [`${node} goes by the normal network`, ...why].join("\n  ");
  const used = peer.ways.filter((way) => way.isAdmitted && (way.state === "up" || way.state === "suspect")).length;
  const by = used === 0 ? "goes by the normal network: no rail reaches it" : `goes by ${used} of ${peer.ways.length + refused.length} rails`; // biome-ignore format: one row
  const head =
    peer.foreign === undefined
      ? by
      : `goes by a route of somebody else's, which is left alone: ip route show proto ${peer.foreign}`;
  return [
    `${node} (${peer.primary}) ${head}`,
    ...peer.ways.map((way) => `${way.rail}: ${wordsOf(way)}${lossesOf(way)}`),
    ...why,
  ].join("\n  ");
}

function wordsOf({ state, isAdmitted, forMs }: WayReport): string {
  const since = `for ${Math.round(forMs / 1000)} s`;
  switch (state) {
    case "up":
      return isAdmitted ? `used ${since}` : `not used: ${REFUSED}`;
    case "suspect":
      return isAdmitted ? "used, and being asked again: its last answer is missing" : `not used: ${REFUSED}`;
    case "trial":
      return "not used: it answers again, and must go on to for a while, longer for each recent loss";
    case "down":
      return `not used: no answer to ARP ${since}: look at the cable at either end, and at the rail's switch`;
  }
}

const lossesOf = ({ losses }: WayReport): string => (losses > 1 ? ` (lost ${losses} times lately)` : "");
