import { ETH_P_8021AD, ETH_P_8021Q } from "../kernel/protocols.ts";
import type { VfState } from "../kernel/vf.ts";
import { integer, invalid, oneOf } from "./fields.ts";
import type { NetworkConfig } from "./protocol/network-config.ts";

/** Mb/s, as `struct ifla_vf_rate` has it. */
const MAX_RATE = 2 ** 31 - 1;

export const VF_KEYS = [
  "vlan",
  "vlanQoS",
  "vlanProto",
  "spoofchk",
  "trust",
  "link_state",
  "min_tx_rate",
  "max_tx_rate",
] as const;

/**
 * sriov-cni's keys for the PF's side of a VF, with its validation (`pkg/config`): what is not configured is not changed;
 * `vlan: 0` is a setting, not the absence of one.
 */
export function readVfSettings(config: NetworkConfig): Partial<VfState> {
  const on = readSwitch(config, "spoofchk");
  const trust = readSwitch(config, "trust");
  const linkState = oneOf(config, "link_state", ["auto", "enable", "disable"]);
  return {
    ...readVlan(config),
    ...readRate(config),
    ...(on !== undefined && { spoofchk: on }),
    ...(trust !== undefined && { trust }),
    ...(linkState && { linkState }),
  };
}

function readVlan(config: NetworkConfig): Partial<VfState> {
  const vlan = integer(config, "vlan", 0, 4094);
  const qos = integer(config, "vlanQoS", 0, 7);
  const proto = readVlanProto(config);
  if (vlan === undefined) {
    if (qos) throw invalid("vlanQoS", qos, "it needs vlan, 1 to 4094");
    if (proto) throw invalid("vlanProto", config.vlanProto, "it needs vlan, 1 to 4094");
    return {};
  }
  if (vlan === 0 && qos) throw invalid("vlanQoS", qos, "vlan 0 is untagged and has no QoS; give vlan 1 to 4094");
  if (vlan === 0 && proto === ETH_P_8021AD)
    throw invalid("vlanProto", config.vlanProto, "802.1ad needs vlan 1 to 4094");
  return { vlan, qos: qos ?? 0, proto: proto ?? ETH_P_8021Q };
}

function readVlanProto(config: NetworkConfig): number | undefined {
  const given = config.vlanProto;
  const lower = typeof given === "string" ? { vlanProto: given.toLowerCase() } : { vlanProto: given };
  const proto = oneOf(lower, "vlanProto", ["802.1q", "802.1ad"]);
  return proto && (proto === "802.1q" ? ETH_P_8021Q : ETH_P_8021AD);
}

/** One call sets both; the one that is not configured is 0, unlimited, as in sriov-cni. */
function readRate(config: NetworkConfig): Partial<VfState> {
  const min = integer(config, "min_tx_rate", 0, MAX_RATE);
  const max = integer(config, "max_tx_rate", 0, MAX_RATE);
  if (min === undefined && max === undefined) return {};
  if (min && max && min > max) throw invalid("min_tx_rate", min, `it is above max_tx_rate ${max}`);
  return { minTxRate: min ?? 0, maxTxRate: max ?? 0 };
}

/** Any word but "on" means off, as in sriov-cni; empty and absent change nothing. */
function readSwitch(config: NetworkConfig, key: "spoofchk" | "trust"): boolean | undefined {
  const value = config[key];
  if (value === undefined || value === null || value === "") return undefined;
  if (typeof value !== "string") throw invalid(key, value, 'want "on" or "off"');
  return value === "on";
}
