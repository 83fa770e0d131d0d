import { addStatic, checkStatic } from "../ipam/static.ts";
import { isAttachName, NESTED, notIpam } from "./attach-names.ts";
import type { Host } from "./host.ts";
import { onHost } from "./host-root.ts";
import { type DelegateOptions, delegate, findPlugin, hasPlugin, isRegularFile } from "./protocol/delegate.ts";
import type { Call } from "./protocol/request.ts";
import type { Result } from "./protocol/result.ts";
import type { Verb } from "./protocol/version.ts";

/** Whether a type has anything to release or collect: `static` keeps no state, and answers at once. */
export const keepsState = (type: string): boolean => type !== "static";

/**
 * Whether a type is another process's: as with other attach plugins, it then finds the link in the pod when it gives addresses (`dhcp`
 * asks by it) and still there when it takes them back. Only what runs in this process goes on beside the kernel's work.
 */
export const isForeign = (type: string, host: Pick<Host, "isOwnIpam">): boolean =>
  keepsState(type) && !host.isOwnIpam(type);

/** Whether addresses can have been reserved at all: a misspelt type must not keep a pod from being deleted. */
export const canRelease = (type: string, { path }: Call, host: Host): boolean =>
  !keepsState(type) || hasPlugin(type, path, isOnHost(host));

/** Before an ADD changes anything: another process's type is asked late. @throws {CniError} 7, 100 when it cannot be asked. */
export function requireIpam(type: string | undefined, call: Call, host: Host): void {
  if (type === undefined || !isForeign(type, host)) return;
  if (isAttachName(type, call.request.name)) throw notIpam(type);
  findPlugin(type, call.path, isOnHost(host));
}

/** CNI_PATH names directories of the host. */
const isOnHost =
  ({ paths }: Pick<Host, "paths">) =>
  (path: string) =>
    isRegularFile(onHost(paths.hostRoot, path));

/**
 * The one way from the attach plugin to IPAM: types that this executable knows run in process, every other is the
 * executable of that name in CNI_PATH. This plugin itself is none: it has given nothing, and a DEL finds nothing to release.
 *
 * @returns for ADD the addresses, routes and DNS settings.
 * @throws {CniError} 7 for this plugin itself; what the plugin says.
 */
export async function callIpam(
  host: Pick<Host, "exec" | "paths">,
  verb: Verb,
  type: string,
  call: Call,
  options: Omit<DelegateOptions, "isFile"> = {},
): Promise<Result | undefined> {
  if (isAttachName(type, call.request.name)) {
    if (verb === "DEL") return undefined;
    throw notIpam(type);
  }
  if (keepsState(type)) return delegate(host.exec, verb, type, nested(call), { ...options, isFile: isOnHost(host) });
  if (verb === "ADD") return addStatic(call);
  if (verb === "CHECK") checkStatic(call);
  return undefined;
}

const nested = (call: Call): Call => {
  const { request } = call;
  return { ...call, request: { ...request, env: { ...request.env, [NESTED]: "1" } } };
};
