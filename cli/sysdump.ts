import { hostname } from "node:os";
import type { Argv } from "yargs";
import type { Paths } from "../cni/host.ts";
import { createHost, pathsFrom } from "../cni/node-host.ts";
import { KUBECONFIG } from "../daemonset/install/paths.ts";
import { createLog } from "../daemonset/log.ts";
import { VERSION } from "../daemonset/version.ts";
import type { NodePolicy } from "../ipam/host.ts";
import { readNodePolicy } from "../ipam/node-policy.ts";
import { standAloneIpam } from "../ipam/stand-alone.ts";
import { type ExitCode, running, UsageError } from "./ipam/options.ts";
import { Progress } from "./ipam/progress.ts";
import { fromCaller } from "./ipam/store-target.ts";
import { agentItems } from "./sysdump/agents.ts";
import { RawApi } from "./sysdump/api.ts";
import { Archive } from "./sysdump/archive.ts";
import { clusterItems } from "./sysdump/cluster-items.ts";
import { collect, type Item, type Outcome } from "./sysdump/collect.ts";
import { nodeItems } from "./sysdump/node-items.ts";
import { Redactor } from "./sysdump/redact.ts";
import { secretsOf } from "./sysdump/secrets.ts";
import { count } from "./table.ts";
import { userKubeconfig } from "./user-kubeconfig.ts";

interface SysdumpOptions {
  readonly output: string | undefined;
  readonly allNodes: boolean;
  readonly node: readonly string[];
  readonly kubeconfig: string | undefined;
  readonly namespace: string;
  readonly logBytes: number;
  readonly timeoutSeconds: number;
  readonly configDir: string;
}

export const registerSysdump = (y: Argv): Argv =>
  y.command(
    "sysdump",
    "collects what helps to find a fault in one archive: of this node, or of the cluster and its nodes",
    (y) =>
      y
        .option("output", {
          alias: "o",
          type: "string",
          nargs: 1, // otherwise a lone "-" is not an argument
          describe: "the archive, a tar.gz; - for standard output",
          defaultDescription: "railnet-sysdump-NODE-TIME.tar.gz",
        })
        .option("all-nodes", {
          type: "boolean",
          default: false,
          describe: "what the API server has, and an archive of every node, which its agent makes (needs pods/exec)",
        })
        .option("node", {
          type: "string",
          array: true,
          default: [] as string[],
          describe: "as --all-nodes, of these nodes alone",
        })
        .option("kubeconfig", {
          type: "string",
          defaultDescription: "KUBECONFIG, ~/.kube/config, the pod's account",
          describe: "with --all-nodes: of somebody who may run commands in the agents' pods",
        })
        .option("namespace", { type: "string", default: "kube-system", describe: "with --all-nodes: the agents'" })
        .option("log-bytes", { type: "number", default: 8 << 20, describe: "of each log, its end" })
        .option("timeout-seconds", {
          type: "number",
          default: 20,
          describe: "for each item; for a node ten times that",
        })
        .option("config-dir", {
          type: "string",
          default: "/etc/railnet/config",
          describe: "where the ConfigMap railnet-config is mounted",
        })
        .example("$0 sysdump", "this node, into the current directory")
        .example("$0 sysdump --all-nodes", "the cluster, from a machine with a kubeconfig")
        .example("$0 sysdump --node gpu-3 gpu-7 -o /tmp/two.tar.gz", "two of its nodes")
        .example("kubectl -n kube-system exec POD -- railnet sysdump -o - > node.tar.gz", "without a copy of railnet")
        .epilogue(
          "Tokens, keys, passwords and values of other programs' environment are left out or replaced by [redacted]. " +
            "sysdump.json in the archive says what was looked at, and what could not be read and why: the rest is there all the same. " +
            "Exit codes: 0 there is an archive; 1 it could not be written.",
        ),
    running(sysdump),
  );

async function sysdump(options: SysdumpOptions): Promise<ExitCode> {
  const isCluster = options.allNodes || options.node.length > 0;
  if (!(options.timeoutSeconds > 0 && options.logBytes > 0))
    throw new UsageError("cannot make an archive: --timeout-seconds and --log-bytes want numbers above 0");
  const name = `railnet-sysdump-${isCluster ? "cluster" : nodeName()}-${new Date().toISOString().replaceAll(/[-:]|\.\d+/g, "")}`;
  const to = options.output === "-" ? "-" : fromCaller(options.output ?? `${name}.tar.gz`, process.env);
  using progress = new Progress();
  using archive = new Archive(to, name);
  const { items, secrets } = isCluster ? await ofCluster(options) : ofNode(options);
  const limits = { itemMs: options.timeoutSeconds * (isCluster ? 10_000 : 1_000), itemBytes: options.logBytes };
  const redactor = new Redactor(secrets);
  const outcomes = await collect(
    items,
    redactor,
    limits,
    (entry) => archive.add(entry),
    (path) => progress.at(path),
  );
  archive.add({ path: "sysdump.json", content: Buffer.from(index(outcomes, isCluster)) });
  const bytes = await archive.close();
  progress.say(summary(to, bytes, outcomes));
  return 0;
}

const nodeName = (): string => (process.env["NODENAME"] || hostname()).replaceAll(/[^\w.-]/g, "_");

interface Work {
  readonly items: Iterable<Item>;
  readonly secrets: readonly string[];
}

/** Where the node's credentials are. */
const ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount/token";
const WHEREABOUTS = "/etc/cni/net.d/whereabouts.d/whereabouts.kubeconfig";

function ofNode({ configDir, logBytes }: SysdumpOptions): Work {
  const quiet = createLog("silent");
  const host = createHost({ paths: pathsFrom(process.env), ipam: standAloneIpam(process.env, quiet), log: quiet });
  const policy = policyOf(host.paths);
  const files = [KUBECONFIG, policy.kubeconfig, process.env["KUBECONFIG"], WHEREABOUTS, ACCOUNT];
  const secrets = secretsOf(
    files.filter((path) => path !== undefined),
    process.env,
  );
  return { items: nodeItems({ host, policy, configDir, env: process.env, bytes: logBytes }), secrets };
}

/** A broken node.json is one of the things that an archive is for: it is included. */
function policyOf(paths: Paths): NodePolicy {
  try {
    return readNodePolicy(paths, process.env);
  } catch {
    return {};
  }
}

async function ofCluster({ kubeconfig, namespace, node: nodes, timeoutSeconds }: SysdumpOptions): Promise<Work> {
  const path = userKubeconfig(kubeconfig, process.env);
  const api = new RawApi(path);
  const agents = await agentItems({ api, namespace, nodes, timeoutMs: timeoutSeconds * 10_000 }).catch(
    (error): Item[] => [
      { path: "nodes", read: () => Promise.reject(new Error(`cannot list the agents: ${error.message}`)) },
    ],
  );
  return { items: [...clusterItems(api, namespace), ...agents], secrets: secretsOf([path ?? ACCOUNT], process.env) };
}

/** What stands in `sysdump.json`. */
function index(outcomes: readonly Outcome[], isCluster: boolean): string {
  const { length } = outcomes.filter(({ error }) => error);
  const of = isCluster ? { cluster: true } : { node: nodeName() };
  return `${JSON.stringify({ railnet: VERSION, ...of, time: new Date().toISOString(), unread: length, items: outcomes }, null, 2)}\n`;
}

function summary(to: string, bytes: number, outcomes: readonly Outcome[]): string {
  const failed = outcomes.filter(({ error }) => error && error !== "not here");
  const size = bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;
  const lines = failed.map(({ path, error }) => `could not read ${path}: ${error}`);
  const files = count(outcomes.filter(({ error }) => !error).length, "file");
  return [...lines, `${to === "-" ? "the archive" : to}: ${files}, ${size}`].join("\n");
}
