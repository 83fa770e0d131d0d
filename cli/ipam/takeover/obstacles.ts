import { MAX_RECORDS } from "../../../daemonset/addresses/leader/view.ts";
import { count } from "../../table.ts";
import type { AgentReadiness, TakeoverState } from "./state.ts";

/** Old Whereabouts' names of IPv6 pools, and pools that were created by hand. */
const NAMELESS =
  ", and the pool's name does not tell its network; recreate the pods that have them, so that they get others, then delete the pool";

/** What prevents declaring that there is no Whereabouts; empty: nothing. Pure. */
export function obstaclesToFinish({ pools, whereabouts, agents }: TakeoverState): string[] {
  const { leaseRenewed, isLive, workloads } = whereabouts;
  const present = agents.filter(({ hasNode, isHeard }) => hasNode || isHeard);
  return [
    ...pools.flatMap(({ pool, isNamed, unreserved, disputed }) => [
      ...(unreserved > 0
        ? [
            `pool ${pool}: ${count(unreserved, "record has", "records have")} no reservation${isNamed ? "; railnet ipam takeover adopt" : NAMELESS}`,
          ]
        : []),
      ...(disputed > 0
        ? [`pool ${pool}: ${count(disputed, "address has", "addresses have")} two owners; railnet ipam audit`]
        : []),
    ]),
    ...(present.length === 0 ? ["no agent has reported; install Railnet on the nodes first"] : []),
    ...present.flatMap(whyUnknown),
    ...(isLive ? [`Whereabouts is running: it renewed its lease at ${leaseRenewed}; stop it, and wait a minute`] : []),
    ...(workloads ?? []).map((name) => `Whereabouts is installed: ${name}; delete it`),
  ];
}

function whyUnknown({ node, isHeard, mode, renewed }: AgentReadiness): string[] {
  if (!isHeard)
    return [`the agent of ${node} last reported at ${renewed || "an unknown time"}; start it, or delete the node`];
  return mode ? [] : [`the agent of ${node} does not report its mode; update it`];
}

/** What prevents going back beside a running Whereabouts. Pure. */
export const obstaclesToBack = ({ pools }: TakeoverState): string[] =>
  pools.flatMap(({ pool, stuck, reservations }) => {
    if (reservations > MAX_RECORDS)
      return [
        `pool ${pool} has ${reservations} addresses given out, and an IPPool holds ${MAX_RECORDS} records, which Whereabouts needs: ` +
          "delete pods until they fit, or give networks smaller ranges or node_slice_size first",
      ];
    if (stuck === 0) return [];
    return [
      `pool ${pool}: ${count(stuck, "reservation has", "reservations have")} no record for a minute; see whether an agent leads`,
    ];
  });

/** What to do next. Pure. */
export function next(state: TakeoverState): string {
  return state.mode === "absent" ? nextWhenAbsent(state) : nextWhenCoexisting(state);
}

function nextWhenAbsent(state: TakeoverState): string {
  const { agents, whereabouts } = state;
  const late = agents.filter(({ isHeard, mode }) => isHeard && mode !== "absent").map(({ node }) => node);
  if (agents.length === 0) return "install Railnet on the nodes: no agent has reported";
  if (late.length > 0) return `wait: these agents have not switched yet: ${late.join(", ")}`;
  if (whereabouts.isLive) return "stop Whereabouts: while it runs the agents switch back to coexist";
  const [shut] = obstaclesToBack(state);
  if (shut) return `nothing: the takeover is done; the way back is shut: ${shut}`;
  return "nothing: the takeover is done; the way back is railnet ipam takeover back";
}

function nextWhenCoexisting(state: TakeoverState): string {
  if (state.pools.some(({ isNamed, unreserved }) => isNamed && unreserved > 0)) return "railnet ipam takeover adopt";
  if (obstaclesToFinish(state).length > 0)
    return "railnet ipam takeover finish, when nothing stands in its way; railnet ipam takeover says what does";
  return "railnet ipam takeover finish";
}
