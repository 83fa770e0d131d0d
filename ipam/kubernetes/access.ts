import { readFileSync, statSync } from "node:fs";
import type { KubeConfig } from "@kubernetes/client-node";
import { ApiError } from "./cluster.ts";
import type { Tls } from "./transport.ts";

/** How to reach an API server, at one moment: tokens and certificates change. */
export interface Access {
  /** `https://host:port` */
  readonly server: string;
  /** Of the kubeconfig's context; in a pod: the pod's. */
  readonly namespace: string | undefined;
  readonly tls: Tls;
  /** Authorization, impersonation. */
  readonly headers: Readonly<Record<string, string>>;
}

/** @param isFresh reads every file again: what was given last was refused. */
export type ReadAccess = (isFresh: boolean) => Promise<Access>;

/**
 * Access by a kubeconfig, or with none by the service account of the pod. Files that it names are read at every call,
 * a token file at most once a minute, the kubeconfig itself when it has changed or access is asked for afresh.
 *
 * @throws {ApiError} that says what is wrong with the configuration.
 */
export function accessBy(kubeconfig: string | undefined): ReadAccess {
  let config: KubeConfig | undefined;
  let changed = 0;
  return async (isFresh) => {
    try {
      const now = kubeconfig ? statSync(kubeconfig).mtimeMs : 0;
      if (!config || isFresh || now !== changed) config = await load(kubeconfig);
      changed = now;
      return await read(config);
    } catch (cause) {
      const where = kubeconfig ? `kubeconfig ${kubeconfig}` : "the service account of this pod";
      throw new ApiError(`cannot read ${where}: ${(cause as Error).message}`, { cause });
    }
  };
}

async function load(kubeconfig: string | undefined): Promise<KubeConfig> {
  const { KubeConfig, loadYaml } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  if (!kubeconfig) {
    config.loadFromCluster();
    return config;
  }
  config.loadFromFile(kubeconfig);
  addTokenFiles(config, loadYaml(readFileSync(kubeconfig, "utf8")));
  return config;
}

/** client-node 2.0 knows `token-file`, which nobody writes, but not `tokenFile`, which client-go documents. */
function addTokenFiles(config: KubeConfig, { users = [] }: RawConfig): void {
  for (const { name, user } of users) {
    const known = config.users.find((one) => one.name === name);
    if (known && user?.tokenFile)
      Object.assign(known, { authProvider: { name: "tokenFile", config: { tokenFile: user.tokenFile } } });
  }
}

interface RawConfig {
  readonly users?: readonly { readonly name: string; readonly user?: { readonly tokenFile?: string } }[];
}

async function read(config: KubeConfig): Promise<Access> {
  const cluster = config.getCurrentCluster();
  if (!cluster) throw new Error(`its current-context "${config.currentContext}" names no cluster`);
  if (!cluster.server.startsWith("https://"))
    throw new Error(`its server ${cluster.server} is not an https:// address`);
  if (cluster.proxyUrl) throw new Error("it names a proxy-url, which is not supported");
  const options: Parameters<KubeConfig["applyToHTTPSOptions"]>[0] = {};
  await config.applyToHTTPSOptions(options);
  const { ca, cert, key, servername, auth, headers } = options as Applied;
  return {
    server: cluster.server.replace(/\/+$/, ""),
    namespace: config.getContextObject(config.currentContext)?.namespace,
    tls: {
      ...(ca && { ca: `${ca}` }),
      ...(cert && { cert: `${cert}` }),
      ...(key && { key: `${key}` }),
      ...(servername && { serverName: servername }),
      rejectUnauthorized: !cluster.skipTLSVerify,
    },
    headers: {
      ...(auth && { Authorization: `Basic ${Buffer.from(auth).toString("base64")}` }),
      ...trimmed(headers ?? {}),
    },
  };
}

/** What client-node leaves in the options of a request. */
interface Applied {
  readonly ca?: Buffer | string;
  readonly cert?: Buffer | string;
  readonly key?: Buffer | string;
  readonly servername?: string;
  readonly auth?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** A token file's newline is no part of the token, and a header with one is refused. */
const trimmed = (headers: Readonly<Record<string, string>>): Record<string, string> =>
  Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, `${value}`.trim()]));
