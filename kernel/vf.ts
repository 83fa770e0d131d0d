import { getLink, ifinfomsg, type LinkSelector, RTM_SETLINK } from "./link.ts";
import { attribute, attributes, nested, readU32 } from "./netlink/attribute.ts";
import type { Message, Query } from "./netlink/message.ts";
import { struct } from "./netlink/struct.ts";
import { ETH_P_8021Q } from "./protocols.ts";

/** `IFLA_VF_*`, include/uapi/linux/if_link.h. */
const IFLA_NUM_VF = 21;
const IFLA_VFINFO_LIST = 22;
const IFLA_VF_INFO = 1;
const IFLA_VF_MAC = 1;
const IFLA_VF_SPOOFCHK = 4;
const IFLA_VF_LINK_STATE = 5;
const IFLA_VF_RATE = 6;
const IFLA_VF_TRUST = 9;
const IFLA_VF_VLAN_LIST = 12;
const IFLA_VF_VLAN_INFO = 1;
/** include/uapi/linux/if_ether.h. */

const vfMac = struct("ifla_vf_mac", 36, [
  ["vf", 0, "u32"],
  ["mac", 4, "mac"],
]);
const vfRate = struct("ifla_vf_rate", 12, [
  ["vf", 0, "u32"],
  ["min", 4, "u32"],
  ["max", 8, "u32"],
]);
/** Also `ifla_vf_trust` and `ifla_vf_link_state`. */
const vfSetting = struct("ifla_vf_spoofchk", 8, [
  ["vf", 0, "u32"],
  ["setting", 4, "u32"],
]);
/** 16 bytes, not the 14 of its fields: the kernel pads. */
const vfVlanInfo = struct("ifla_vf_vlan_info", 16, [
  ["vf", 0, "u32"],
  ["vlan", 4, "u32"],
  ["qos", 8, "u32"],
  ["proto", 12, "be16"],
]);

export type VfLinkState = "auto" | "enable" | "disable";
/** In the order of `IFLA_VF_LINK_STATE_*`. */
const LINK_STATES: readonly VfLinkState[] = ["auto", "enable", "disable"];

/** What the PF stores for a VF. */
export interface VfState {
  /** Administrative MAC; all zero means none. */
  readonly mac: string;
  readonly vlan: number;
  readonly qos: number;
  /** Ethertype: 0x8100 or 0x88a8. */
  readonly proto: number;
  /** Mb/s, 0 is unlimited. */
  readonly minTxRate: number;
  readonly maxTxRate: number;
  readonly spoofchk: boolean;
  readonly trust: boolean;
  readonly linkState: VfLinkState;
}

/**
 * Everything in one request, and no more than is given; `qos` and `proto` go with `vlan`, a missing rate means unlimited.
 * The kernel applies MAC, VLAN, rate, spoof check, link state, trust in this order, regardless of ours (`do_setvfinfo()`,
 * net/core/rtnetlink.c), and stops at the first that the driver refuses: the ones before stay applied.
 */
export function setVf(
  pfIndex: number,
  vf: number,
  state: Partial<VfState>,
  what = `configure VF ${vf} of link ${pfIndex}`,
): Message {
  const list = nested(IFLA_VFINFO_LIST, [nested(IFLA_VF_INFO, settings(vf, state))]);
  return { what, type: RTM_SETLINK, body: Buffer.concat([ifinfomsg(pfIndex), list]) };
}

/** In the order of ip(8). */
function settings(vf: number, { mac, spoofchk, linkState, trust, ...s }: Partial<VfState>): Buffer[] {
  const setting = (type: number, value: number) => attribute(type, vfSetting.encode({ vf, setting: value }));
  return [
    ...(mac === undefined ? [] : [attribute(IFLA_VF_MAC, vfMac.encode({ vf, mac }))]),
    ...(s.vlan === undefined ? [] : [vlanList({ vf, vlan: s.vlan, qos: s.qos ?? 0, proto: s.proto ?? ETH_P_8021Q })]),
    ...(spoofchk === undefined ? [] : [setting(IFLA_VF_SPOOFCHK, Number(spoofchk))]),
    ...(linkState === undefined ? [] : [setting(IFLA_VF_LINK_STATE, LINK_STATES.indexOf(linkState))]),
    ...(trust === undefined ? [] : [setting(IFLA_VF_TRUST, Number(trust))]),
    ...(s.minTxRate === undefined && s.maxTxRate === undefined
      ? []
      : [attribute(IFLA_VF_RATE, vfRate.encode({ vf, min: s.minTxRate ?? 0, max: s.maxTxRate ?? 0 }))]),
  ];
}

/** A list of one: the kernel accepts no more. Also for 802.1Q, where ip(8) uses the older `IFLA_VF_VLAN`. */
const vlanList = (vlan: Parameters<typeof vfVlanInfo.encode>[0]): Buffer =>
  nested(IFLA_VF_VLAN_LIST, [attribute(IFLA_VF_VLAN_INFO, vfVlanInfo.encode(vlan))]);

/** The VFs of a PF, by index. */
export const vfsOf = (pf: LinkSelector): Query<Map<number, VfState>> => ({
  message: getLink(pf, { vfs: true }),
  parse: parseVfs,
});

/** VFs by index, from a RTM_NEWLINK body requested with `vfs`. Where a driver lacks a setting, its default is shown. */
export function parseVfs(body: Buffer): Map<number, VfState> {
  const vfs = new Map<number, VfState>();
  for (const list of attributes(body.subarray(16)))
    if (list.type === IFLA_VFINFO_LIST)
      for (const info of attributes(list.data)) if (info.type === IFLA_VF_INFO) readVf(info.data, vfs);
  return vfs;
}

/** How many VFs the PF has, from the same body, including those about which its driver says nothing. */
export function parseNumVfs(body: Buffer): number {
  const count = attributes(body.subarray(16)).find((a) => a.type === IFLA_NUM_VF);
  return count ? readU32(count) : 0;
}

function readVf(info: Buffer, into: Map<number, VfState>): void {
  let vf: number | undefined;
  let state: VfState = {
    mac: "00:00:00:00:00:00",
    vlan: 0,
    qos: 0,
    proto: ETH_P_8021Q,
    minTxRate: 0,
    maxTxRate: 0,
    spoofchk: false,
    trust: false,
    linkState: "auto",
  };
  for (const { type, data } of attributes(info)) {
    const [index, part] = readPart(type, data);
    vf ??= index;
    state = { ...state, ...part };
  }
  if (vf !== undefined) into.set(vf, state);
}

function readPart(type: number, data: Buffer): [vf: number | undefined, part: Partial<VfState>] {
  if (type === IFLA_VF_MAC) {
    const { vf, mac } = vfMac.decode(data);
    return [vf, { mac }];
  }
  if (type === IFLA_VF_VLAN_LIST) return readVlan(data);
  if (type === IFLA_VF_RATE) {
    const { vf, min, max } = vfRate.decode(data);
    return [vf, { minTxRate: min, maxTxRate: max }];
  }
  if (type !== IFLA_VF_SPOOFCHK && type !== IFLA_VF_LINK_STATE && type !== IFLA_VF_TRUST) return [undefined, {}];
  const { vf, setting } = vfSetting.decode(data);
  if (type === IFLA_VF_SPOOFCHK) return [vf, { spoofchk: setting === 1 }];
  if (type === IFLA_VF_TRUST) return [vf, { trust: setting === 1 }];
  return [vf, { linkState: LINK_STATES[setting] ?? "auto" }];
}

function readVlan(list: Buffer): [vf: number | undefined, part: Partial<VfState>] {
  const first = attributes(list).find((a) => a.type === IFLA_VF_VLAN_INFO);
  if (!first) return [undefined, {}];
  const { vf, vlan, qos, proto } = vfVlanInfo.decode(first.data);
  return [vf, { vlan, qos, proto: proto || ETH_P_8021Q }];
}
