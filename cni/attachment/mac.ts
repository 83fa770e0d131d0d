import { codeOf } from "../../kernel/errno.ts";
import { linkOf, setLink } from "../../kernel/link.ts";
import { type NetlinkConnection, NetlinkError } from "../../kernel/netlink/message.ts";
import { setVf, vfsOf } from "../../kernel/vf.ts";
import { awaitAnswer, isBusy, patiently, type Waiter } from "./patience.ts";
import type { VfAtPf } from "./vf-at-pf.ts";

export const NO_MAC = "00:00:00:00:00:00";

/**
 * What a VF's driver answers when an administrator's MAC pins it: igbvf and bnxt, ixgbevf (also while the PF does not
 * listen to it), iavf.
 */
const PINNED = ["EADDRNOTAVAIL", "EPERM", "EACCES"];

/**
 * Sets the MAC of a link and reads it back: some drivers are late (i40e, iavf) or busy. A VF that an administrator's MAC
 * pins is released first: that works with every driver, whereas granting it trust resets it (ice, i40e), or makes the PF
 * deaf to it (ixgbe).
 *
 * @param at where it can be released.
 * @param onPinned called before the administrator's MAC is removed.
 * @throws {NetlinkError} of the last attempt.
 */
export async function setLinkMac(
  rtnl: NetlinkConnection,
  index: number,
  mac: string,
  waiter: Waiter,
  at?: VfAtPf,
  onPinned: () => void = () => {},
): Promise<void> {
  const set = () =>
    untilShown(
      `link ${index}`,
      mac,
      () => trySet(rtnl, index, mac),
      () => linkMac(rtnl, index),
      waiter,
    );
  const first = await outcomeOf(set);
  if (!first) return;
  if (!at || !PINNED.includes(codeOf(first) ?? "")) throw first;
  onPinned();
  await clearAdminMac(rtnl, at, waiter);
  const second = await outcomeOf(set);
  if (!second) return;
  if (!PINNED.includes(codeOf(second) ?? "")) throw second;
  await resetByCycle(rtnl, index, waiter);
  await set();
}

/** Sets the administrative MAC that the PF keeps for a VF, and reads it back, unless the list does not reach that far. */
export async function setAdminMac(
  rtnl: NetlinkConnection,
  at: VfAtPf,
  mac: string,
  waiter: Waiter,
  { isListed = true } = {},
): Promise<void> {
  const { pfIndex, vf } = at;
  const set = () => void rtnl.request(setVf(pfIndex, vf, { mac }, `set the MAC of VF ${vf} to ${mac}`));
  if (mac === NO_MAC || !isListed) return patiently(set, waiter);
  const read = () => rtnl.get(vfsOf({ index: pfIndex })).get(vf)?.mac;
  await untilShown(`VF ${vf}`, mac, set, read, waiter);
}

/** From then on the VF may choose its own MAC. */
export const clearAdminMac = (rtnl: NetlinkConnection, at: VfAtPf, waiter: Waiter): Promise<void> =>
  setAdminMac(rtnl, at, NO_MAC, waiter);

/** Up and down: the driver then resets its VF, which asks the PF anew (ixgbevf). The link must be down. */
export async function resetByCycle(rtnl: NetlinkConnection, index: number, waiter: Waiter): Promise<void> {
  await patiently(() => rtnl.request(setLink(index, { up: true }, `set link ${index} up`)), waiter);
  await patiently(() => rtnl.request(setLink(index, { up: false }, `set link ${index} down`)), waiter);
}

const trySet = (rtnl: NetlinkConnection, index: number, mac: string): void =>
  void rtnl.request(setLink(index, { mac }, `set the MAC of link ${index} to ${mac}`));

const linkMac = (rtnl: NetlinkConnection, index: number): string => rtnl.get(linkOf({ index })).mac;

async function outcomeOf(act: () => Promise<void>): Promise<unknown> {
  try {
    await act();
    return undefined;
  } catch (error) {
    return error;
  }
}

/**
 * Sets and reads until the value shows. Reads before setting again: a request refused as busy may have taken effect
 * meanwhile, and a driver that is asked blocks for seconds (iavf).
 */
async function untilShown(
  whose: string,
  want: string,
  set: () => void,
  read: () => string | undefined,
  waiter: Waiter,
): Promise<void> {
  let isAsked = false;
  let last: unknown;
  const late = (shown: string | undefined) =>
    new NetlinkError(`set the MAC of ${whose} to ${want}`, "EAGAIN", `the driver still shows ${shown ?? "none"}`);
  const isShown = await awaitAnswer(() => {
    try {
      const before = isAsked || last ? read() : undefined;
      if (before === want) return true;
      if (isAsked && before === undefined) return undefined; // in reset: another request would start another one
      set();
      isAsked = true;
      const shown = read();
      if (shown === want) return true;
      last = late(shown);
    } catch (error) {
      if (!isBusy(error)) throw error;
      last = error;
    }
    return undefined;
  }, waiter);
  if (!isShown) throw last;
}
