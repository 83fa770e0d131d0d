import { dirname } from "node:path";
import { CniError, CODE } from "../../cni/protocol/error.ts";
import { parseJson } from "../../cni/protocol/json.ts";
import type { IpamHost, NodePolicy } from "../host.ts";
import type { Storage } from "../storage.ts";
import { type IpamFields, readIpamFields } from "./fields.ts";
import { requireAddresses } from "./ranges.ts";

/** Where Whereabouts looks, pkg/config/config.go. */
const FLAT_FILES = ["/etc/kubernetes", "/etc", "/host/etc"].map(
  (root) => `${root}/cni/net.d/whereabouts.d/whereabouts.conf`,
);

/**
 * Reads Whereabouts' flat file: the first one that exists. Its content is a bare `ipam` object.
 *
 * @returns undefined when there is none.
 * @throws {CniError} 999 in Whereabouts' words, or what readIpamFields() throws.
 */
export function readFlatFile(
  own: IpamFields,
  { readText, policy }: Pick<IpamHost, "readText" | "policy">,
): IpamFields | undefined {
  const named = policy.trustNetworkConfig && own.configuration_path ? [own.configuration_path] : [];
  for (const path of [...named, ...(policy.flatFiles ?? FLAT_FILES)]) {
    const content = readAt(path, readText);
    if (content === undefined) continue;
    const fields = readIpamFields(parse(content, path), path) ?? {};
    requireAddresses(fields, `LoadIPAMConfig Flatfile (${path})`, content);
    return fields;
  }
  return undefined;
}

/**
 * The kubeconfig of this node's cluster: root's own settings take precedence over what Whereabouts' installer has written,
 * whose service account has other rights and whose token ends with its pod.
 *
 * @throws {CniError} what readFlatFile() throws.
 */
export const kubeconfigOfNode = (host: Pick<IpamHost, "readText" | "policy">): string | undefined =>
  host.policy.kubeconfig ?? readFlatFile({}, host)?.kubernetes?.kubeconfig;

/**
 * Where the addresses of a journal record are reached now. A record names the kubeconfig of its ADD; if that is gone, or is
 * Whereabouts' own, whose token ends with its pod, the node's present one leads to the same cluster.
 */
export function presentStorage(storage: Storage, host: Pick<IpamHost, "readText" | "policy">): Storage {
  if (storage.kind !== "kubernetes" || storage.kubeconfig === host.policy.kubeconfig) return storage;
  if (!isWhereabouts(storage.kubeconfig) && isThere(storage.kubeconfig, host)) return storage;
  const kubeconfig = kubeconfigOfNode(host);
  return kubeconfig ? { kind: "kubernetes", kubeconfig } : storage;
}

const isWhereabouts = (path: string): boolean => dirname(path).endsWith("/whereabouts.d");

function isThere(path: string, { readText }: Pick<IpamHost, "readText">): boolean {
  try {
    return readText(path) !== undefined;
  } catch {
    return true;
  }
}

/** This node's name according to Whereabouts' installer: a file `nodename` beside the flat file (script/lib.sh, 0.9.4). */
export function readNodeName(
  { flatFiles = FLAT_FILES }: NodePolicy,
  readText: IpamHost["readText"],
): string | undefined {
  for (const path of flatFiles) {
    const name = readText(`${dirname(path)}/nodename`)?.trim();
    if (name) return name;
  }
  return undefined;
}

function readAt(path: string, readText: IpamHost["readText"]): string | undefined {
  try {
    return readText(path);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new CniError(CODE.INTERNAL, `error opening flat configuration file @ ${path} with: ${why}`, { cause });
  }
}

function parse(content: string, path: string): unknown {
  try {
    return parseJson(content, path);
  } catch (cause) {
    throw new CniError(
      CODE.INTERNAL,
      `LoadIPAMConfig Flatfile (${path}) - JSON Parsing Error: ${(cause as Error).message} / bytes: ${content}`,
      { cause },
    );
  }
}

/**
 * Whereabouts itself always requires a flat file; we do not if something else says where addresses are stored.
 *
 * @param own what the network configuration says and is allowed to say.
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function requireFlatFile({ type, kubernetes }: IpamFields, { policy }: Pick<IpamHost, "policy">): void {
  if (type === "whereabouts" && !kubernetes?.kubeconfig && !policy.kubeconfig && !policy.directory)
    throw new CniError(CODE.INTERNAL, "config file not found");
}

/**
 * Where addresses are stored: as the network configuration says, if it may; otherwise by root's own settings of this node;
 * otherwise by Whereabouts' flat file. A configuration that means a cluster never falls back to a directory on this node:
 * the same address would be given out on every node.
 *
 * @param own what the network configuration says and is allowed to say.
 * @param flat the flat file, undefined when there is none.
 * @throws {CniError} 999 in Whereabouts' words if there is no kubeconfig where there should be one.
 */
export function storageOf(
  own: IpamFields,
  flat: IpamFields | undefined,
  { policy, stateDir }: Pick<IpamHost, "policy" | "stateDir">,
  { meansCluster }: { readonly meansCluster: boolean },
): Storage {
  const kubeconfig = own.kubernetes?.kubeconfig ?? policy.kubeconfig ?? flat?.kubernetes?.kubeconfig;
  if (kubeconfig) return { kind: "kubernetes", kubeconfig };
  if (policy.directory) return { kind: "directory", path: policy.directory };
  if (flat || meansCluster) throw new CniError(CODE.INTERNAL, NO_STORAGE);
  return { kind: "directory", path: `${stateDir}/addresses` };
}

const NO_STORAGE =
  "you have not configured the storage engine (looks like you're using an invalid `kubernetes.kubeconfig` parameter " +
  "in your config)";
