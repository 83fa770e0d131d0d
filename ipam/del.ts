import type { Call } from "../cni/protocol/request.ts";
import type { IpamHost } from "./host.ts";
import { ClaimJournal, type ClaimRecord } from "./journal.ts";
import { lockAttachment } from "./lock.ts";
import { readIpamConfig } from "./whereabouts/config.ts";

/**
 * DEL: on disk when it returns, carried out in the store by the release queue. Needs no API server. An attachment that no
 * journal knows was made by Whereabouts, or is already gone: its pools are searched by container ID.
 */
export async function del(call: Call, host: IpamHost): Promise<void> {
  using _lock = await lockAttachment(call, host);
  host.step("ipam-del-locked");
  const journal = new ClaimJournal(host.stateDir);
  const record = journal.find(call.containerId, call.ifname) ?? stranger(call, host);
  if (record) await noteAndRelease(record, journal, host);
}

/** The caller holds the attachment's lock. */
export async function noteAndRelease(record: ClaimRecord, journal: ClaimJournal, host: IpamHost): Promise<void> {
  const change = { phase: "releasing", since: new Date().toISOString(), ...unfinishedOf(record) } as const;
  const releasing: ClaimRecord = { ...record, ...change };
  if (record.phase !== "releasing" || record.search) journal.update(record, change);
  host.step("ipam-del-journalled");
  await host.releaseSoon(releasing);
}

/** An ADD that died may have requested an address from the API server, and the request may still arrive. */
function unfinishedOf({ phase, storage }: ClaimRecord): Pick<ClaimRecord, "unfinished"> {
  return phase === "claiming" ? { unfinished: storage.kind === "kubernetes" ? "unclear" : "answered" } : {};
}

/** A configuration that can no longer be read does not tell what was reserved. */
function stranger(call: Call, host: IpamHost): ClaimRecord | undefined {
  if (host.wasReleased(call.containerId, call.ifname)) return undefined;
  try {
    const { storage, podref, ranges } = readIpamConfig(call, host);
    const { containerId, ifname, netns } = call;
    const owner = { podref, ifname, containerId, node: host.node };
    const search = ranges.map(({ pool }) => pool);
    const since = new Date().toISOString();
    return {
      version: 1,
      phase: "releasing",
      network: call.config.name,
      storage,
      owner,
      netns,
      netnsInode: 0,
      since,
      addresses: [],
      search,
    };
  } catch (err) {
    host.log.warn(
      { err, containerID: call.containerId },
      "DEL of an unknown attachment with an unusable configuration",
    );
    return undefined;
  }
}
