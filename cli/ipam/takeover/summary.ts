import { count, table } from "../../table.ts";
import type { TakeoverState } from "./state.ts";

export interface Told {
  readonly did: string;
  readonly obstacles: readonly string[];
  readonly next: string;
}

/** The state, what was done, the obstacles and the next step, for people. Pure. */
export function summary(state: TakeoverState, { did, obstacles, next }: Told): string {
  const blocks = [
    did && `done: ${did}`,
    `mode: ${state.mode}${state.mode === "coexist" ? " (a claim is a reservation and a record)" : " (a claim is a reservation)"}`,
    whereaboutsLine(state.whereabouts),
    agentsLine(state),
    "",
    poolsTable(state).trimEnd(),
    "",
    ...(obstacles.length > 0 ? ["in the way:", ...obstacles.map((one) => `  ${one}`)] : []),
    `next: ${next}`,
  ];
  return `${blocks
    .filter((line, i) => line !== "" || blocks[i - 1] !== "")
    .join("\n")
    .trimStart()}\n`;
}

function whereaboutsLine({ leaseRenewed, isLive, workloads }: TakeoverState["whereabouts"]): string {
  const lease = leaseRenewed ? `lease renewed at ${leaseRenewed}` : "no lease";
  const installed =
    workloads === null ? "cannot tell whether it is installed" : workloads.join(", ") || "not installed";
  return `Whereabouts: ${isLive ? "live" : "not seen alive"}, ${lease}, ${installed}`;
}

function agentsLine({ agents, nodesWithoutAgent }: TakeoverState): string {
  const heard = agents.filter(({ isHeard }) => isHeard);
  const modes = [...Map.groupBy(heard, ({ mode }) => mode ?? "not said")].map(
    ([mode, those]) => `${those.length} ${mode}`,
  );
  const silent = agents.length - heard.length;
  const parts = [...modes, ...(silent > 0 ? [`${silent} silent`] : [])];
  const without = nodesWithoutAgent.length > 0 ? `; ${count(nodesWithoutAgent.length, "node")} without` : "";
  return `agents: ${parts.join(", ") || "none"}${without}`;
}

const poolsTable = ({ pools }: TakeoverState): string =>
  table(
    [
      { title: "POOL", of: ({ pool }) => pool },
      { title: "ADOPTED", of: ({ isAdopted }) => (isAdopted ? "yes" : "no") },
      { title: "RECORDS", of: ({ records }) => records, isNumber: true },
      { title: "RESERVATIONS", of: ({ reservations }) => reservations, isNumber: true },
      { title: "UNRESERVED", of: ({ unreserved }) => unreserved, isNumber: true },
      { title: "UNRECORDED", of: ({ unrecorded }) => unrecorded, isNumber: true },
      { title: "DISPUTED", of: ({ disputed }) => disputed, isNumber: true },
    ],
    pools,
  );
