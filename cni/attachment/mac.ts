import { setTimeout as sleep } from "node:timers/promises";
import { codeOf } from "../kernel/errno.ts";
import { getLink, parseLink, setLink } from "../kernel/link.ts";
import type { NetlinkConnection } from "../kernel/netlink/message.ts";
import { parseVfs, setVf } from "../kernel/vf.ts";

/** A VF at its PF: where its administrative settings are. */
export interface VfAtPf {
  readonly pfIndex: number;
  readonly vf: number;
}

/** Drivers apply a MAC late (i40e, iavf) or are busy; sriov-cni tries as often (`pkg/utils/netlink.go`). */
const TRIES = 20;
const PAUSE_MS = 100;
const BUSY = ["EBUSY", "EAGAIN"];

/** What a driver says when an untrusted VF may not choose its own MAC (igb). */
const NOT_TRUSTED = ["EADDRNOTAVAIL", "EPERM"];

/**
 * Sets the MAC of the link itself and reads it back. If the driver wants trust for that, trust is lent for the moment.
 *
 * @throws {NetlinkError} of the last try.
 */
export async function setLinkMac(rtnl: NetlinkConnection, index: number, mac: string, at?: VfAtPf): Promise<void> {
  const set = () => rtnl.request(setLink(index, { mac }, `set the MAC of link ${index} to ${mac}`));
  await untilRead(
    () => {
      try {
        set();
      } catch (error) {
        if (!at || !NOT_TRUSTED.includes(codeOf(error) ?? "")) throw error;
        withTrust(rtnl, at, set);
      }
    },
    () => parseLink(rtnl.request(getLink({ index }))!).mac,
    mac,
  );
}

/** Sets the administrative MAC that the PF keeps for a VF, and reads it back. Zero means none: then nothing is read. */
export async function setAdminMac(rtnl: NetlinkConnection, { pfIndex, vf }: VfAtPf, mac: string): Promise<void> {
  const set = () => void rtnl.request(setVf(pfIndex, vf, { mac }, `set the MAC of VF ${vf} to ${mac}`));
  if (/^[0:]+$/.test(mac)) return set();
  await untilRead(set, () => parseVfs(rtnl.request(getLink({ index: pfIndex }, { vfs: true }))!).get(vf)?.mac, mac);
}

function withTrust(rtnl: NetlinkConnection, { pfIndex, vf }: VfAtPf, act: () => void): void {
  rtnl.request(setVf(pfIndex, vf, { trust: true }, `lend trust to VF ${vf}`));
  try {
    act();
  } finally {
    rtnl.request(setVf(pfIndex, vf, { trust: false }, `take trust from VF ${vf}`));
  }
}

async function untilRead(set: () => void, read: () => string | undefined, want: string): Promise<void> {
  for (let left = TRIES; ; left--) {
    try {
      set();
      if (read() === want) return;
      if (left === 1) throw new Error(`cannot set the MAC to ${want}: the driver still shows ${read() ?? "none"}`);
    } catch (error) {
      if (left === 1 || !BUSY.includes(codeOf(error) ?? "")) throw error;
    }
    await sleep(PAUSE_MS);
  }
}
