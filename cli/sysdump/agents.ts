import { Lanes } from "../lanes.ts";
import type { RawApi } from "./api.ts";
import { AGENTS } from "./cluster-items.ts";
import type { Item } from "./collect.ts";
import { execInPod } from "./exec.ts";

/** The agent of a node. */
interface AgentPod {
  readonly node: string;
  readonly name: string;
  readonly isRunning: boolean;
}

/** A node's archive has a few MB: the ends of its logs. */
const MOST_BYTES = 256 << 20;
/** How many archives are transferred at the same time. */
const AT_ONCE = 8;

export interface AgentDumpOptions {
  readonly api: RawApi;
  readonly namespace: string;
  /** Empty: all. */
  readonly nodes: readonly string[];
  readonly timeoutMs: number;
}

/**
 * An archive of each node, made by its agent. They are requested in parallel, and come in the order of their names.
 *
 * @throws {ApiError} when the agents cannot be listed.
 */
export async function agentItems(options: AgentDumpOptions): Promise<Item[]> {
  const { api, namespace, nodes } = options;
  const pods = await api.list(
    `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(AGENTS)}`,
    AbortSignal.timeout(options.timeoutMs),
  );
  const agents = pods.map(agentOf).toSorted((a, b) => (a.node < b.node ? -1 : 1));
  const chosen = agents.filter(({ node }) => nodes.length === 0 || nodes.includes(node));
  const missing = nodes.filter((node) => !chosen.some((one) => one.node === node));
  const turns = new Lanes(AT_ONCE);
  return [
    ...chosen.map((agent): Item => {
      const asked = turns.add(() => archiveOf(agent, options));
      asked.catch(() => {}); // its item reports it
      return { path: `nodes/${fileName(agent)}.tar.gz`, isArchive: true, read: () => asked };
    }),
    ...missing.map(
      (node): Item => ({
        path: `nodes/${node}.tar.gz`,
        read: async () => Promise.reject(new Error("no agent runs on this node")),
      }),
    ),
  ];
}

function agentOf(pod: unknown): AgentPod {
  const { metadata, spec, status } = pod as {
    metadata: { name: string };
    spec?: { nodeName?: string };
    status?: { phase?: string };
  };
  return { node: spec?.nodeName ?? "", name: metadata.name, isRunning: status?.phase === "Running" };
}

/** During an upgrade a node has two. */
const fileName = ({ node, name }: AgentPod): string => `${node || "unscheduled"}.${name}`;

async function archiveOf(agent: AgentPod, { api, namespace, timeoutMs }: AgentDumpOptions): Promise<Buffer> {
  if (!agent.isRunning) throw new Error(`its agent, pod ${agent.name}, does not run`);
  const command = ["/usr/bin/railnet", "sysdump", "--output", "-"];
  return execInPod(
    await api.access(),
    { namespace, pod: agent.name, container: "agent", command, mostBytes: MOST_BYTES },
    AbortSignal.timeout(timeoutMs),
  );
}
