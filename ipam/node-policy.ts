import { readFileSync, statSync } from "node:fs";
import type { Paths } from "../cni/host.ts";
import { flag, list, record, required, text } from "../cni/protocol/decode.ts";
import { CniError, CODE } from "../cni/protocol/error.ts";
import { codeOf } from "../kernel/errno.ts";
import type { NodePolicy } from "./host.ts";
import { readNodeName } from "./whereabouts/flat-file.ts";

/** @returns undefined if there is no such file. @throws {CniError} 5 when it cannot be read. */
export function readNodeText(path: string): string | undefined {
  try {
    // Most nodes have none of the files that are looked for at every ADD: asked first, since an exception is dear.
    return statSync(path, { throwIfNoEntry: false }) && readFileSync(path, "utf8");
  } catch (error) {
    if (["ENOENT", "ENOTDIR"].includes(codeOf(error) ?? "")) return undefined;
    throw new CniError(CODE.IO_FAILURE, `cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

/**
 * Root's own settings of this node, `/etc/railnet/node.json`, or the defaults without that file. Includes the node's name
 * if any source has it: the settings, NODENAME, Whereabouts' installer.
 *
 * @throws {CniError} 7 for a file that is not a JSON object, or for a value of the wrong type.
 */
export function readNodePolicy({ nodeConfig }: Paths, env: Readonly<Record<string, string | undefined>>): NodePolicy {
  const json = readNodeText(nodeConfig);
  const policy = json === undefined ? {} : parsePolicy(json, nodeConfig);
  const node = policy.node || env["NODENAME"] || readNodeName(policy, readNodeText);
  return { ...policy, ...(node && { node }) };
}

const readPolicy = required(
  record<NodePolicy>({
    node: text,
    trustNetworkConfig: flag,
    aliases: list(text),
    kubeconfig: text,
    directory: text,
    flatFiles: list(text),
  }),
);

function parsePolicy(json: string, path: string): NodePolicy {
  try {
    return readPolicy(JSON.parse(json), "it");
  } catch (error) {
    const why = error instanceof CniError ? `${error.message.replace("it.", "")}; ` : "";
    throw new CniError(CODE.INVALID_CONFIG, `cannot use ${path}: ${why}want a JSON object such as {"node": "node-a"}`);
  }
}
