import type { Argv } from "yargs";
import { PATHS } from "../cni/host.ts";
import { pathsFrom } from "../cni/node-host.ts";
import type { PeerReport, RoutesReport, WayReport } from "../daemonset/routes/order.ts";
import { askAgent } from "./ask-agent.ts";
import { type ExitCode, running } from "./ipam/options.ts";
import { explain, REFUSED } from "./routes/explain.ts";
import { planText } from "./routes/plan.ts";
import { type Column, table } from "./table.ts";

interface RoutesArgs {
  readonly node?: string | undefined;
  readonly json: boolean;
}

export const registerRoutes = (y: Argv): Argv =>
  y.command(
    "routes [node]",
    "over which rails this node sends to others, and why not",
    (y) =>
      y
        .command(
          "explain <node>",
          "why this node sends to another as it does, rail by rail",
          (y) => y.positional("node", { type: "string", demandOption: true, describe: "the other node" }),
          running(explained),
        )
        .command(
          "plan",
          "what routes over rails would change on this node, also before they are on; changes nothing",
          (y) =>
            y
              .option("primary", { type: "string", describe: "this Node's InternalIP, where routes were never on" })
              .option("config-dir", {
                type: "string",
                default: "/etc/railnet/config",
                describe: "where the ConfigMap railnet-config is mounted; may be missing",
              }),
          running(planned),
        )
        .positional("node", { type: "string", describe: "this peer alone, with the reason where it goes another way" })
        .option("json", { type: "boolean", default: false, describe: "as JSON" })
        .example("$0 routes node-7", "why node-7 is not reached over all rails")
        .epilogue("Ask on the node itself: kubectl -n kube-system exec POD -- railnet routes"),
    running(routes),
  );

async function routes({ node, json }: RoutesArgs): Promise<ExitCode> {
  const { runDir } = { ...PATHS, ...pathsFrom(process.env) };
  const report = await askAgent(runDir, { ask: "routes" });
  if (json) console.log(JSON.stringify(report && node ? only(report, node) : report, undefined, 2));
  else console.log(report ? textOf(report, node).trimEnd() : OFF);
  return 0;
}

async function explained({ node }: { readonly node: string }): Promise<ExitCode> {
  const { runDir } = { ...PATHS, ...pathsFrom(process.env) };
  const report = await askAgent(runDir, { ask: "routes" });
  console.log(report ? explain(report, node) : OFF);
  return 0;
}

interface PlanArgs {
  readonly configDir: string;
  readonly primary?: string | undefined;
}

async function planned({ configDir, primary }: PlanArgs): Promise<ExitCode> {
  console.log(planText({ ...PATHS, ...pathsFrom(process.env) }, configDir, primary));
  return 0;
}

const OFF = "no routes over rails: no RailNetwork of this node asks for them (nodes.routes)";

/** For people. Pure. */
function textOf(report: RoutesReport, node?: string): string {
  if (report.off) return `no routes over rails: ${report.off}`;
  const { peers, refused } = node === undefined ? report : only(report, node);
  if (node !== undefined && peers.length === 0 && refused.length === 0)
    return `${node} has no RailPeer: no agent runs there with nodes.routes on, or it has none of the rails`;
  const rails = [...new Set(report.peers.flatMap(({ ways }) => ways.map(({ rail }) => rail)))];
  const why = [
    ...peers.filter(({ foreign }) => foreign !== undefined).map(({ node, foreign }) => `${node}: another route to it is left alone (ip route show proto ${foreign})`),
    ...peers.flatMap(({ node, ways }) => ways.filter((way) => isAlive(way) && !way.isAdmitted).map(({ rail }) => `${node} by ${rail}: ${REFUSED}`)),
    ...refused.map(({ peer, rail, why }) => `${peer}${rail === undefined ? "" : ` by ${rail}`}: ${why}`),
  ]; // biome-ignore format: rows
  return [...(peers.length > 0 ? [table(columnsOf(rails), peers).trimEnd()] : []), ...why].join("\n");
}

const only = (report: RoutesReport, node: string): RoutesReport => ({
  ...report,
  peers: report.peers.filter((one) => one.node === node),
  refused: report.refused.filter(({ peer }) => peer === node),
});

const columnsOf = (rails: readonly string[]): Column<PeerReport>[] => [
  { title: "NODE", of: ({ node }) => node },
  { title: "PRIMARY", of: ({ primary }) => primary },
  { title: "BY", of: ({ ways, foreign }) => (foreign === undefined ? byOf(ways) : "another route") },
  ...rails.map((rail) => ({ title: rail.toUpperCase(), of: ({ ways }: PeerReport) => wayOf(ways, rail) })),
];

const isAlive = ({ state }: WayReport): boolean => state === "up" || state === "suspect";
const isUsed = (way: WayReport): boolean => isAlive(way) && way.isAdmitted;

function byOf(ways: readonly WayReport[]): string {
  const used = ways.filter(isUsed).length;
  return used === 0 ? "the normal network" : `${used}/${ways.length} rails`;
}

function wayOf(ways: readonly WayReport[], rail: string): string {
  const way = ways.find((one) => one.rail === rail);
  if (!way) return "";
  if (isAlive(way) && !way.isAdmitted) return "refused";
  return isAlive(way) ? way.state : `${way.state} ${Math.round(way.forMs / 1000)}s`;
}
