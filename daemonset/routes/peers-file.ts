import { renameSync } from "node:fs";
import { dirname } from "node:path";
import { makeDirectory, readIfThere, syncFile, writeWhole } from "../../records/durable.ts";
import type { RailPeer } from "./object.ts";

/** What the cluster says of nodes on rails, as last heard of. */
export interface PeersSeen {
  /** This Node's InternalIP; empty before it is known. */
  readonly primary: string;
  readonly isControlPlane: boolean;
  readonly peers: readonly RailPeer[];
  /** Of this Node; files of agents before do not tell. */
  readonly podCIDRs?: readonly string[];
}

const NOBODY: PeersSeen = { primary: "", isControlPlane: false, peers: [] };

/** Routes need no API server: after a restart of the agent without one, these do. A file that is none is as good as none. */
export function readPeersSeen(file: string): PeersSeen {
  try {
    const { version, primary, isControlPlane, peers, podCIDRs } = JSON.parse(readIfThere(file) ?? "{}");
    const isWhole = version === 1 && typeof primary === "string" && Array.isArray(peers);
    const own = Array.isArray(podCIDRs) && { podCIDRs };
    return isWhole ? { primary, isControlPlane: isControlPlane === true, peers, ...own } : NOBODY;
  } catch {
    return NOBODY;
  }
}

/** In place of what was there, whole or not at all. */
export function writePeersSeen(file: string, seen: PeersSeen): void {
  makeDirectory(dirname(file));
  writeWhole(`${file}.new`, JSON.stringify({ version: 1, ...seen }), true);
  renameSync(`${file}.new`, file);
  syncFile(dirname(file));
}
