import type { Host } from "../host.ts";
import { readArgs } from "../protocol/environment.ts";
import { type NetworkConfig, readNetworkConfig } from "../protocol/network-config.ts";
import type { Call } from "../protocol/request.ts";
import type { Verb } from "../protocol/version.ts";
import { removeDeviceInfo } from "./device-info.ts";
import { Journal } from "./journal.ts";
import { openOwnNetns } from "./own-netns.ts";
import type { Attachment } from "./record.ts";
import { giveBack } from "./settle.ts";

/** How long IPAM plugins have to release. */
const RELEASE_TIMEOUT_MS = 30_000;

/**
 * Ends an attachment: restores the VF as far as possible now, then releases its addresses, then deletes its record. What
 * cannot be restored delays nothing: it is owed to the VF. A foreign IPAM plugin releases first, while the link is still
 * in the pod; whatever its result, the VF is restored. The record says first that the VF is no longer the pod's: else a VF
 * that is home, when this process dies, looks like one whose driver recovered. The caller holds the locks of the attachment
 * and of the VF.
 *
 * @throws the first other failure; the record stays, and another call resumes where this one failed.
 */
export async function detach(a: Attachment, host: Host, { release = true } = {}): Promise<void> {
  const journal = new Journal(host.paths.stateDir);
  const type = release ? ipamOf(a, host) : undefined;
  const isAttached = a.phase !== "returned";
  if (a.phase === "attached") note("claimed", a, journal, host);
  const early = type && isAttached && host.ipam.isForeign(type) ? releaseAddresses(a, host) : undefined;
  await early?.catch(() => {}); // rethrown below
  const unwritten = isAttached ? await failureOf(giveBack(a, host)) : undefined;
  if (type && isAttached && !unwritten) note("returned", a, journal, host);
  host.step("del-returned", a.ifname);
  removeDeviceInfo(a.deviceInfoFile, a.device.pci, host.log);
  if (type) await (early ?? releaseAddresses(a, host));
  if (unwritten) throw unwritten;
  host.step("del-addresses-released", a.ifname);
  journal.forget(a);
  host.step("del-forgotten", a.ifname);
}

/** A full disk keeps the record, but not the addresses. */
const failureOf = (work: Promise<void>): Promise<unknown> =>
  work.then(
    () => undefined,
    (error) => error,
  );

/** The kernel's part of detach(), for a VF that gets a new owner while the old one's addresses wait for its DEL. */
export async function giveBackDevice(a: Attachment, host: Host, journal: Journal): Promise<void> {
  await giveBack(a, host);
  journal.update(a, { phase: "returned" });
}

/** On a full disk the record is left as it is: restoring once more would find nothing to do. */
function note(phase: Attachment["phase"], a: Attachment, journal: Journal, host: Host): void {
  try {
    if (phase === "returned") journal.update(a, { phase });
    else journal.amend(a, { phase });
  } catch (err) {
    host.log.warn({ err }, "cannot update the record; the VF itself is restored");
  }
}

/** The IPAM plugin that has something to release, if any. */
function ipamOf(a: Attachment, { ipam }: Host): string | undefined {
  const type = configOf(a).ipam?.type;
  return type && ipam.keepsState(type) ? type : undefined;
}

/** As ADD read it: keys in any case. */
const configOf = (a: Attachment): NetworkConfig => readNetworkConfig(a.request.stdin, "DEL");

async function releaseAddresses(a: Attachment, host: Host): Promise<void> {
  const type = ipamOf(a, host);
  if (type) await host.ipam.ask("DEL", type, callOf(a, "DEL", host), { timeoutMs: RELEASE_TIMEOUT_MS });
}

/** The call that made an attachment, as another verb: with its recorded configuration, whatever the NAD says today. */
export function callOf(a: Attachment, verb: Verb, host: Host): Call {
  using netns = openOwnNetns(a, host);
  const sandbox = netns ? a.netns : "";
  return {
    verb,
    containerId: a.containerId,
    netns: sandbox,
    ifname: a.ifname,
    path: a.request.path,
    args: readArgs(a.request.args),
    config: configOf(a),
    ...(a.set && { set: a.set }),
    request: {
      name: "railnet-sriov",
      stdin: a.request.stdin,
      env: {
        CNI_COMMAND: verb,
        CNI_CONTAINERID: a.containerId,
        CNI_NETNS: sandbox,
        CNI_IFNAME: a.ifname,
        CNI_PATH: a.request.path.join(":"),
        ...(a.request.args && { CNI_ARGS: a.request.args }),
      },
    },
  };
}
