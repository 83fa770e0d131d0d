import { readFileSync } from "node:fs";
import { dirname, isAbsolute, join, resolve } from "node:path";

/** A cluster of a kubeconfig, with client-go's keys (tools/clientcmd/api/v1/types.go). */
export interface ClusterEntry {
  readonly server?: string;
  readonly "tls-server-name"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "proxy-url"?: string;
  readonly extensions?: readonly { readonly name: string; readonly extension?: unknown }[];
}

/** Whose rights are used. */
export interface UserEntry {
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly as?: string;
  readonly "as-uid"?: string;
  readonly "as-groups"?: readonly string[];
  readonly "as-user-extra"?: Readonly<Record<string, readonly string[]>>;
  readonly username?: string;
  readonly password?: string;
  readonly "auth-provider"?: { readonly name?: string };
  readonly exec?: ExecEntry;
}

/** A program that supplies credentials. */
export interface ExecEntry {
  readonly command: string;
  readonly args?: readonly string[] | null;
  readonly env?: readonly { readonly name: string; readonly value: string }[] | null;
  readonly apiVersion?: string;
  readonly installHint?: string;
  readonly provideClusterInfo?: boolean;
  readonly interactiveMode?: string;
}

/** What the current context of a kubeconfig refers to. File paths are absolute. */
export interface Kubeconfig {
  readonly cluster: ClusterEntry & { readonly server: string };
  readonly user: UserEntry;
  readonly namespace: string | undefined;
}

interface Named {
  readonly name?: string;
}
interface RawConfig {
  readonly clusters?: readonly (Named & { readonly cluster?: ClusterEntry })[];
  readonly users?: readonly (Named & { readonly user?: UserEntry })[];
  readonly contexts?: readonly (Named & {
    readonly context?: { readonly cluster?: string; readonly user?: string; readonly namespace?: string };
  })[];
  readonly "current-context"?: string;
}

/**
 * Reads a kubeconfig as client-go does (tools/clientcmd): paths in it are relative to its own directory, as is the command
 * of `exec` if it is a path at all. Credentials are not read yet.
 *
 * @throws {Error} that says what is wrong with it.
 */
export async function readKubeconfig(path: string): Promise<Kubeconfig> {
  const raw = await parse(readFileSync(path, "utf8"));
  const current = raw["current-context"] ?? "";
  const context = find(raw.contexts, current)?.context;
  if (!context) throw new Error(`its current-context ${JSON.stringify(current)} names no context`);
  const cluster = find(raw.clusters, context.cluster)?.cluster;
  if (!cluster?.server)
    throw new Error(`its current-context ${JSON.stringify(current)} names no cluster with a server`);
  const user = context.user ? find(raw.users, context.user)?.user : {};
  if (context.user && !find(raw.users, context.user))
    throw new Error(`its user ${JSON.stringify(context.user)} does not exist`);
  const base = resolve(dirname(path));
  const { server } = cluster;
  return {
    cluster: { ...absolute(cluster, ["certificate-authority"], base), server },
    user: withCommand(absolute(user ?? {}, ["client-certificate", "client-key", "tokenFile"], base), base),
    namespace: context.namespace || undefined,
  };
}

/** JSON is YAML, and is what the installer writes: it needs no YAML library. */
async function parse(text: string): Promise<RawConfig> {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    const { load } = await import("js-yaml");
    raw = load(text);
  }
  if (typeof raw !== "object" || raw === null || Array.isArray(raw)) throw new Error("it is not a kubeconfig");
  return raw;
}

const find = <T extends Named>(entries: readonly T[] | undefined, name: string | undefined): T | undefined =>
  entries?.find((one) => one.name === name);

function absolute<T extends object>(entry: T, keys: readonly (keyof T)[], base: string): T {
  const paths = keys.flatMap((key) => {
    const path = entry[key];
    return typeof path === "string" && path && !isAbsolute(path) ? [[key, join(base, path)]] : [];
  });
  return { ...entry, ...Object.fromEntries(paths) };
}

/** A command without a slash is looked up in PATH. */
function withCommand(user: UserEntry, base: string): UserEntry {
  const { exec } = user;
  if (!exec?.command?.includes("/") || isAbsolute(exec.command)) return user;
  return { ...user, exec: { ...exec, command: join(base, exec.command) } };
}
