import { ETH_P_8021Q } from "../../kernel/protocols.ts";
import { driverOf } from "../../kernel/sysfs.ts";
import type { VfState } from "../../kernel/vf.ts";
import type { Host } from "../host.ts";
import type { DeviceIdentity } from "./record.ts";

/** What a driver does not report; for PF drivers, as in the sources of Linux 6.12 and 7.3. */
export interface DriverTraits {
  /** Spoof check of a new VF. */
  readonly spoofchk: boolean;
  /**
   * The MAC in the PF's list is an administrator's or none, never the VF's own. A VF's RDMA node GUID is derived from it,
   * even from none, and with spoof check only it may send (`mlx5_esw_set_vport_mac_locked`, `esw_acl_ingress_lgcy_setup`).
   */
  readonly needsAdminMac?: true;
  /** After such a change the VF's own requests are refused until it is reset (`ixgbe_rcv_msg_from_vf`). */
  readonly closesMailbox?: true;
  /** An administrator's MAC is ignored if the VF already has it (`__ice_set_vf_mac`): it is set before the link's. */
  readonly pinsOnlyAnother?: true;
  /** Link state `enable` is accepted, does nothing and is not reported (`ixgbe_ndo_set_vf_link_state`). */
  readonly ignoresEnable?: true;
}

export const TRAITS: Readonly<Record<string, DriverTraits>> = {
  mlx5_core: { spoofchk: false, needsAdminMac: true },
  bnxt_en: { spoofchk: false },
  ice: { spoofchk: true, pinsOnlyAnother: true },
  ixgbe: { spoofchk: true, closesMailbox: true, ignoresEnable: true },
};

/** @param driver of a PF; an unknown one is assumed to be like most. */
export const traitsOf = (driver: string | undefined): DriverTraits => TRAITS[driver ?? ""] ?? { spoofchk: true };

/** Traits of the PF of an attachment's VF. */
export const traitsOfPf = ({ pf }: DeviceIdentity, { paths }: Host): DriverTraits =>
  traitsOf(pf && driverOf(paths.sysfs, pf.pci));

/** The settings that a driver gives a new VF. */
export const freshState = (driver: string | undefined): VfState => ({
  mac: "00:00:00:00:00:00",
  vlan: 0,
  qos: 0,
  proto: ETH_P_8021Q,
  minTxRate: 0,
  maxTxRate: 0,
  spoofchk: traitsOf(driver).spoofchk,
  trust: false,
  linkState: "auto",
});
