import { statSync } from "node:fs";
import { connect } from "../../ipam/connect.ts";
import { type Access, accessBy } from "../../kubernetes/access.ts";
import type { Cluster, KubeObject, Resource } from "../../kubernetes/cluster.ts";
import { NODES } from "../../kubernetes/cluster.ts";
import { readIfThere } from "../../records/durable.ts";
import { placeText, type StepHook } from "./place.ts";

/** The account of the node's own executables, with fewer rights than the agent's: manifests/rbac.yaml. */
const OF_NODE = "railnet-node";
/** Where no pod brings the agent its own token, it uses the node's kubeconfig, too. */
const OF_AGENT = "railnet";
const LIFE_SECONDS = 24 * 3600;
/** A token from further in the future means that this node's clock is slow: it tells no token's age. */
const SKEW_SECONDS = 60;

/** POST to this subresource gives a token. */
const tokensOf = (account: string): Resource => ({
  group: "",
  version: "v1",
  plural: `serviceaccounts/${account}/token`,
  kind: "TokenRequest",
  namespaced: true,
});

interface TokenRequest extends KubeObject {
  readonly spec: object;
  readonly status?: { readonly token: string };
}

export interface KubeconfigOptions {
  /** Path of the file, mode 0600. */
  readonly path: string;
  /** Name of the node in the cluster. */
  readonly node: string;
  /** With which to request the token; default: the pod's service account. */
  readonly by?: string;
  readonly step?: StepHook;
}

/**
 * Maintains the kubeconfig of the stand-alone executable: a token of its own service account, bound to the *Node* so that
 * it outlives the agent's pod, valid for 24 h. Renews it from half of its life on, and when server, certificate or Node
 * object have changed. A clock that jumps back by no more than the token's age makes it at most 24 h old.
 *
 * @returns whether it was written.
 * @throws {ApiError} when no token is to be had; the old file stays.
 */
export async function renewKubeconfig({ path, node, by, step }: KubeconfigOptions): Promise<boolean> {
  const access = await accessBy(by)(true);
  const cluster = await connect(by === undefined ? {} : { kubeconfig: by });
  const uid = await uidOf(node, cluster);
  const account = by === undefined ? OF_NODE : OF_AGENT;
  const there = readToken(readIfThere(path));
  if (there?.account.endsWith(`:${account}`) && isGood(there, uid, access) && isPrivate(path)) return false;
  const token = await requestToken(account, node, uid, cluster);
  return placeText(render(access, cluster.namespace, account, token), path, 0o600, step);
}

async function uidOf(node: string, cluster: Cluster): Promise<string> {
  const found = await cluster.get(NODES, node, { metadataOnly: true });
  if (!found) throw new Error(`cannot get a token for node ${node}: the cluster has no Node of that name`);
  return found.metadata.uid!;
}

async function requestToken(account: string, node: string, uid: string, cluster: Cluster): Promise<string> {
  const boundObjectRef = { apiVersion: "v1", kind: "Node", name: node, uid };
  const made = await cluster.create<TokenRequest>(tokensOf(account), {
    apiVersion: "authentication.k8s.io/v1",
    kind: "TokenRequest",
    metadata: { name: account },
    spec: { expirationSeconds: LIFE_SECONDS, boundObjectRef },
  });
  return made.status!.token;
}

/** JSON is YAML. */
function render({ server, tls }: Access, namespace: string, account: string, token: string): string {
  const cluster = {
    server,
    ...(tls.ca && { "certificate-authority-data": Buffer.from(tls.ca).toString("base64") }),
    ...(tls.serverName && { "tls-server-name": tls.serverName }),
    ...(!tls.rejectUnauthorized && { "insecure-skip-tls-verify": true }),
  };
  const config = {
    apiVersion: "v1",
    kind: "Config",
    clusters: [{ name: "cluster", cluster }],
    users: [{ name: account, user: { token } }],
    contexts: [{ name: "node", context: { cluster: "cluster", user: account, namespace } }],
    "current-context": "node",
  };
  return `${JSON.stringify(config, null, 2)}\n`;
}

interface Written {
  readonly server: string;
  readonly ca: string;
  readonly nodeUid: string;
  /** `system:serviceaccount:NAMESPACE:NAME` */
  readonly account: string;
  /** Seconds since 1970. */
  readonly from: number;
  readonly until: number;
}

/** Undefined for anything but what render() wrote. */
function readToken(text: string | undefined): Written | undefined {
  try {
    const { clusters, users } = JSON.parse(text!);
    const claims = JSON.parse(Buffer.from(users[0].user.token.split(".")[1], "base64url").toString());
    return {
      server: clusters[0].cluster.server,
      ca: clusters[0].cluster["certificate-authority-data"] ?? "",
      nodeUid: claims["kubernetes.io"]?.node?.uid ?? "",
      account: claims.sub ?? "",
      from: claims.iat,
      until: claims.exp,
    };
  } catch {
    return undefined;
  }
}

/** Anybody else who could read it has the token. */
const isPrivate = (path: string): boolean => (statSync(path).mode & 0o7777) === 0o600;

function isGood({ server, ca, nodeUid, from, until }: Written, uid: string, access: Access): boolean {
  const now = Date.now() / 1000;
  const isYoung = from - SKEW_SECONDS < now && now < (from + until) / 2;
  return (
    isYoung && nodeUid === uid && server === access.server && ca === Buffer.from(access.tls.ca ?? "").toString("base64")
  );
}
