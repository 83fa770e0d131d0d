import { readFileSync, statSync } from "node:fs";
import { ApiError } from "./cluster.ts";
import { environment } from "./environment.ts";
import { ExecCredentials } from "./exec-credential.ts";
import { type ClusterEntry, type Kubeconfig, readKubeconfig, type UserEntry } from "./kubeconfig.ts";
import type { Headers, Tls } from "./transport.ts";

/** How to reach an API server at one moment: tokens and certificates change. */
export interface Access {
  /** `https://host:port`, with a path where the server is behind one. */
  readonly server: string;
  /** From the kubeconfig's context; in a pod, the pod's own. */
  readonly namespace: string | undefined;
  readonly tls: Tls;
  /** Authorization and impersonation. */
  readonly headers: Headers;
}

/** @param isFresh reads every file again, because the server refused the last credentials. */
export type ReadAccess = (isFresh: boolean) => Promise<Access>;

/**
 * Access by a kubeconfig, or without one by the pod's service account. Files that it names are read at every call, the
 * kubeconfig itself when it has changed or when fresh access is asked for.
 *
 * @throws {ApiError} that says what is wrong with the configuration.
 */
export function accessBy(kubeconfig: string | undefined): ReadAccess {
  let source: Source | undefined;
  let changed = 0;
  return async (isFresh) => {
    try {
      const now = kubeconfig ? statSync(kubeconfig).mtimeMs : 0;
      if (!source || isFresh || now !== changed) source = await open(kubeconfig, source);
      changed = now;
      return await read(source, isFresh);
    } catch (cause) {
      const where = kubeconfig ? `kubeconfig ${kubeconfig}` : "the service account of this pod";
      throw new ApiError(`cannot read ${where}: ${(cause as Error).message}`, { cause });
    }
  };
}

/** A kubeconfig, and the program that supplies its credentials, if any. */
interface Source {
  readonly config: Kubeconfig;
  readonly exec: ExecCredentials | undefined;
  readonly path: string | undefined;
}

async function open(path: string | undefined, before: Source | undefined): Promise<Source> {
  const config = path ? await readKubeconfig(path) : ofPod();
  const { user, cluster } = config;
  const isSame = before && JSON.stringify(before.config) === JSON.stringify(config);
  return { config, path, exec: isSame ? before.exec : user.exec && new ExecCredentials(user.exec, cluster) };
}

const SECRETS = "/var/run/secrets/kubernetes.io/serviceaccount";

/** As client-go's rest.InClusterConfig(). */
function ofPod(): Kubeconfig {
  const { KUBERNETES_SERVICE_HOST: host, KUBERNETES_SERVICE_PORT: port } = environment();
  if (!host || !port)
    throw new Error("KUBERNETES_SERVICE_HOST and KUBERNETES_SERVICE_PORT are not set: this is not a pod");
  return {
    cluster: {
      server: `https://${host.includes(":") ? `[${host}]` : host}:${port}`,
      "certificate-authority": `${SECRETS}/ca.crt`,
    },
    user: { tokenFile: `${SECRETS}/token` },
    namespace: readFileSync(`${SECRETS}/namespace`, "utf8").trim() || undefined,
  };
}

async function read({ config, exec, path }: Source, isFresh: boolean): Promise<Access> {
  const { cluster, user, namespace } = config;
  const credentials = await credentialsOf(user, exec, path, isFresh);
  return {
    server: serverOf(cluster),
    namespace,
    tls: { ...tlsOf(cluster), ...credentials.tls },
    headers: { ...credentials.headers, ...impersonation(user) },
  };
}

function serverOf(cluster: ClusterEntry & { readonly server: string }): string {
  const { server } = cluster;
  if (cluster["proxy-url"])
    throw new Error("it names a proxy-url, which is not supported: name a server that is reached without");
  // client-go: without a scheme it is https if any TLS setting is given.
  const saysTls =
    cluster["certificate-authority"] || cluster["certificate-authority-data"] || cluster["insecure-skip-tls-verify"];
  const url = /^[a-z][a-z0-9+.-]*:\/\//i.test(server) || !saysTls ? server : `https://${server}`;
  if (!/^https:\/\//i.test(url) || !URL.canParse(url))
    throw new Error(`its server ${server} is not an https:// address`);
  return withoutSlashes(url.replace(/^https/i, "https").split(/[?#]/, 1)[0]!);
}

/** Without trailing slashes. */
function withoutSlashes(url: string): string {
  let end = url.length;
  while (url[end - 1] === "/") end--;
  return url.slice(0, end);
}

function tlsOf(cluster: ClusterEntry): Tls {
  const ca = pem(cluster, "certificate-authority");
  const serverName = cluster["tls-server-name"];
  const isUnchecked = cluster["insecure-skip-tls-verify"] === true;
  if (isUnchecked && ca)
    throw new Error("it says insecure-skip-tls-verify and names a certificate-authority: want one of them");
  return { ...(ca && { ca }), ...(serverName && { serverName }), rejectUnauthorized: !isUnchecked };
}

interface Credentials {
  readonly tls?: Pick<Tls, "cert" | "key">;
  readonly headers?: Headers;
}

/** As client-go: a program is run only when nothing else is given. */
async function credentialsOf(
  user: UserEntry,
  exec: ExecCredentials | undefined,
  path: string | undefined,
  isFresh: boolean,
): Promise<Credentials> {
  const cert = pem(user, "client-certificate");
  const key = pem(user, "client-key");
  if (!cert !== !key) throw new Error("its user has one of client-certificate and client-key: want both");
  const token = tokenOf(user);
  const { username, password = "" } = user;
  if (username && token) throw new Error("its user has a username and a token: want one of them");
  const provider = user["auth-provider"]?.name;
  const tls = cert && key ? { tls: { cert, key } } : {};
  if (token) return { ...tls, headers: bearer(token) };
  if (username)
    return { ...tls, headers: { Authorization: `Basic ${Buffer.from(`${username}:${password}`).toString("base64")}` } };
  if (cert) return tls;
  if (provider !== undefined) return { headers: await byProvider(provider, path!) };
  return exec ? byProgram(await exec.get(isFresh)) : {};
}

const byProgram = ({
  token,
  clientCertificateData: cert,
  clientKeyData: key,
}: Awaited<ReturnType<ExecCredentials["get"]>>): Credentials => ({
  ...(cert && key && { tls: { cert, key } }),
  ...(token && { headers: bearer(token) }),
});

/** The only provider that client-go has left. */
async function byProvider(name: string, path: string): Promise<Headers> {
  if (name !== "oidc")
    throw new Error(
      `its auth-provider ${JSON.stringify(name)} is not supported, as client-go's is not since Kubernetes 1.26: use exec`,
    );
  const { KubeConfig } = await import("@kubernetes/client-node");
  const config = new KubeConfig();
  config.loadFromFile(path);
  const options: { headers?: Record<string, string> } = {};
  await config.applyToHTTPSOptions(options as never);
  return { Authorization: `${options.headers?.["Authorization"]}` };
}

const bearer = (token: string): Headers => ({ Authorization: `Bearer ${token}` });

/** The file wins; if it cannot be read or is empty, the inline token is used. A trailing newline is not part of a token. */
function tokenOf({ token, tokenFile }: UserEntry): string | undefined {
  if (!tokenFile) return token;
  try {
    const text = readFileSync(tokenFile, "utf8").trim();
    if (text) return text;
    throw new Error(`its token file ${tokenFile} is empty`);
  } catch (error) {
    if (token) return token;
    throw error;
  }
}

/** Without `as` the other fields are ignored. */
function impersonation(user: UserEntry): Headers {
  if (!user.as) return {};
  const groups = user["as-groups"] ?? [];
  const extra = Object.entries(user["as-user-extra"] ?? {});
  return {
    "Impersonate-User": user.as,
    ...(user["as-uid"] && { "Impersonate-Uid": user["as-uid"] }),
    ...(groups.length > 0 && { "Impersonate-Group": groups }),
    ...Object.fromEntries(extra.map(([key, values]) => [`Impersonate-Extra-${encodeURIComponent(key)}`, values])),
  };
}

/** Inline data takes precedence over a file. */
function pem<T extends object>(entry: T, key: keyof T & string): string | undefined {
  const { [key]: path, [`${key}-data`]: data } = entry as Readonly<Record<string, string | undefined>>;
  if (data) return Buffer.from(data, "base64").toString();
  return path ? readFileSync(path, "utf8") : undefined;
}
