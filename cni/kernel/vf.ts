import { ifinfomsg, RTM_SETLINK } from "./link.ts";
import { attribute, attributes, nested } from "./netlink/attribute.ts";
import type { Message } from "./netlink/message.ts";
import { struct } from "./netlink/struct.ts";

/** `IFLA_VF_*`, include/uapi/linux/if_link.h. */
const IFLA_VFINFO_LIST = 22;
const IFLA_VF_INFO = 1;
const IFLA_VF_MAC = 1;
const IFLA_VF_SPOOFCHK = 4;
const IFLA_VF_LINK_STATE = 5;
const IFLA_VF_RATE = 6;
const IFLA_VF_TRUST = 9;
const IFLA_VF_VLAN_LIST = 12;
const IFLA_VF_VLAN_INFO = 1;

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

export type LinkState = "auto" | "enable" | "disable";
/** In the order of `IFLA_VF_LINK_STATE_*`. */
const LINK_STATES: readonly LinkState[] = ["auto", "enable", "disable"];

/** What the PF keeps for a VF. */
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
  readonly linkState: LinkState;
}

/** One request; the kernel applies MAC, VLAN, rate, spoof check, link state, trust in this order, whatever ours is. */
export function setVf(
  pfIndex: number,
  vf: number,
  s: Partial<VfState>,
  what = `configure VF ${vf} of link ${pfIndex}`,
): Message {
  const list: Buffer[] = [];
  if (s.mac !== undefined) list.push(attribute(IFLA_VF_MAC, vfMac.encode({ vf, mac: s.mac })));
  if (s.vlan !== undefined) {
    const info = vfVlanInfo.encode({ vf, vlan: s.vlan, qos: s.qos ?? 0, proto: s.proto ?? 0x8100 });
    list.push(nested(IFLA_VF_VLAN_LIST, [attribute(IFLA_VF_VLAN_INFO, info)]));
  }
  if (s.maxTxRate !== undefined)
    list.push(attribute(IFLA_VF_RATE, vfRate.encode({ vf, min: s.minTxRate ?? 0, max: s.maxTxRate })));
  if (s.spoofchk !== undefined)
    list.push(attribute(IFLA_VF_SPOOFCHK, vfSetting.encode({ vf, setting: Number(s.spoofchk) })));
  if (s.linkState !== undefined)
    list.push(attribute(IFLA_VF_LINK_STATE, vfSetting.encode({ vf, setting: LINK_STATES.indexOf(s.linkState) })));
  if (s.trust !== undefined) list.push(attribute(IFLA_VF_TRUST, vfSetting.encode({ vf, setting: Number(s.trust) })));
  return {
    what,
    type: RTM_SETLINK,
    body: Buffer.concat([ifinfomsg(pfIndex), nested(IFLA_VFINFO_LIST, [nested(IFLA_VF_INFO, list)])]),
  };
}

/** VFs by index, of a RTM_NEWLINK body that was asked for with `vfs`. A driver that lacks a setting shows its default. */
export function parseVfs(body: Buffer): Map<number, VfState> {
  const vfs = new Map<number, VfState>();
  for (const list of attributes(body.subarray(16)))
    if (list.type === IFLA_VFINFO_LIST)
      for (const info of attributes(list.data)) if (info.type === IFLA_VF_INFO) readVf(info.data, vfs);
  return vfs;
}

function readVf(info: Buffer, into: Map<number, VfState>): void {
  let vf: number | undefined;
  let state: VfState = {
    mac: "00:00:00:00:00:00",
    vlan: 0,
    qos: 0,
    proto: 0x8100,
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
  const first = [...attributes(list)].find((a) => a.type === IFLA_VF_VLAN_INFO);
  if (!first) return [undefined, {}];
  const { vf, vlan, qos, proto } = vfVlanInfo.decode(first.data);
  return [vf, { vlan, qos, proto: proto || 0x8100 }];
}
