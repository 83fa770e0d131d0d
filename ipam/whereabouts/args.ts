import { CniError, CODE } from "../../cni/protocol/error.ts";
import type { Call } from "../../cni/protocol/request.ts";

/** Whereabouts' own, and the pod's UID, which runtimes send too. */
const KNOWN = new Set([
  "IgnoreUnknown",
  "IP",
  "GATEWAY",
  "K8S_POD_NAME",
  "K8S_POD_NAMESPACE",
  "K8S_POD_INFRA_CONTAINER_ID",
  "K8S_POD_UID",
]);

/**
 * Checks CNI_ARGS like the reference library's LoadArgs(). The protocol's own reading is more lenient (static and sriov
 * accept unknown keys), so this one looks at the text.
 *
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function checkArgs({ request, args }: Call): void {
  const given = request.env["CNI_ARGS"] ?? "";
  if (given === "") return;
  const pairs = given.split(";");
  const odd = pairs.find((pair) => pair.split("=").length !== 2);
  if (odd !== undefined) throw refused(`invalid pair ${JSON.stringify(odd)}`);
  const unknown = pairs.filter((pair) => !KNOWN.has(pair.split("=")[0]!));
  if (unknown.length > 0 && !/^(1|true)$/i.test(args["IgnoreUnknown"] ?? ""))
    throw refused(`unknown args [${unknown.map((pair) => JSON.stringify(pair)).join(" ")}]`);
}

const refused = (why: string): CniError =>
  new CniError(CODE.INTERNAL, `LoadArgs - CNI Args Parsing Error: ARGS: ${why}`);

/**
 * The pod that an address belongs to.
 *
 * @param named whether there must be a pod: in a cluster. Elsewhere a sandbox without one is named by its container ID.
 * @throws {CniError} 999 in Whereabouts' words.
 */
export function podOf({ args, containerId }: Call, { named }: { readonly named: boolean }) {
  const podUid = args["K8S_POD_UID"];
  const name = args["K8S_POD_NAME"];
  if (!name && named)
    throw new CniError(CODE.INTERNAL, "error at storage engine: IPAM client initialization error: no pod name");
  const podref = `${args["K8S_POD_NAMESPACE"] ?? ""}/${name || containerId}`;
  return { podref, ...(podUid && { podUid }) };
}
