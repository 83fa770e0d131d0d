import type { VfState } from "../../../../kernel/vf.ts";

/** A request to the PF about one VF, in the kernel's order (`do_setvfinfo()`, net/core/rtnetlink.c). */
export type Op = "mac" | "vlan" | "rate" | "spoofchk" | "linkState" | "trust";

/** How a request is refused: an errno, after the driver has held rtnl for so long. */
export interface Refusal {
  readonly errno: string;
  readonly blockMs?: number;
}

/**
 * How an SR-IOV driver behaves where requests meet it, read in the sources of Linux 6.12 and 7.3 (`drivers/net/ethernet`).
 * Times are virtual.
 */
export interface Profile {
  /** Of the PF and of its VFs. */
  readonly driver: string;
  readonly vfDriver: string;
  /** Spoof check of a new VF. */
  readonly spoofchk: boolean;
  /** The PF's list shows the MAC that the VF uses where no administrator gave one. */
  readonly showsOwnMac: boolean;
  /** What an untrusted VF gets that sets a MAC of its own while an administrator's is set; absent: it may. */
  readonly pinned?: string;
  /** It may set the very MAC that the administrator gave. */
  readonly pinnedTakesEqual: boolean;
  /** An administrator's MAC that is the VF's own is set all the same. */
  readonly pinsOnEqualMac: boolean;
  /** When the VF takes an administrator's MAC over. */
  readonly macReachesVf: "rebind" | "reset" | "next reset";
  /** Requests after which the VF resets itself, and for how long that takes. */
  readonly resetsVf: readonly Op[];
  readonly resetMs: number;
  /** What is answered meanwhile; requests not named work. */
  readonly inReset: {
    /** The PF's list lacks the VF, after so long under rtnl. */
    readonly list?: { readonly blockMs: number };
    readonly set?: Refusal;
    readonly up?: Refusal;
    readonly linkMac?: Refusal;
  };
  /** The VF's own requests are refused after these until it was reset: by going down, say. */
  readonly closesMailbox: readonly Op[];
  /** Every request to the PF is refused, and the list is empty, while `sriov_numvfs` is written. */
  readonly busyWhileMaking?: string;
  readonly rate: { readonly min: boolean; readonly needsCarrier: boolean; readonly maxMbps: number };
  readonly linkState: "works" | "no op" | "ignores enable";
  readonly proto8021ad: "works" | "refused";
  /** With spoof check on only the administrator's MAC may send: zero mutes the VF. */
  readonly spoofNeedsAdminMac: boolean;
  /** The node GUID of the VF's RDMA device is made of the administrator's MAC, and read by the driver when it binds. */
  readonly guidFromAdminMac: boolean;
  /** Index from which VFs are not in the list: newer kernels cut it. */
  readonly listEnds: number;
}

const IAVF = {
  vfDriver: "iavf",
  spoofchk: true,
  showsOwnMac: true,
  pinned: "EACCES",
  pinnedTakesEqual: true,
  macReachesVf: "reset",
  resetMs: 300,
  closesMailbox: [],
  linkState: "works",
  proto8021ad: "refused",
  spoofNeedsAdminMac: false,
  guidFromAdminMac: false,
  listEnds: 256,
} as const;

export const PROFILES = {
  mlx5: {
    driver: "mlx5_core",
    vfDriver: "mlx5_core",
    spoofchk: false,
    showsOwnMac: false,
    pinnedTakesEqual: true,
    pinsOnEqualMac: false,
    macReachesVf: "rebind",
    resetsVf: [],
    resetMs: 0,
    inReset: {},
    closesMailbox: [],
    rate: { min: true, needsCarrier: false, maxMbps: Number.POSITIVE_INFINITY },
    linkState: "works",
    proto8021ad: "refused",
    spoofNeedsAdminMac: true,
    guidFromAdminMac: true,
    listEnds: 256,
  },
  ice: {
    ...IAVF,
    driver: "ice",
    pinsOnEqualMac: false,
    resetsVf: ["mac", "vlan", "trust"],
    inReset: {
      list: { blockMs: 800 },
      set: { errno: "EBUSY", blockMs: 800 },
      up: { errno: "EBUSY" },
      linkMac: { errno: "EAGAIN", blockMs: 2500 },
    },
    rate: { min: true, needsCarrier: false, maxMbps: 100_000 },
  },
  i40e: {
    ...IAVF,
    driver: "i40e",
    pinsOnEqualMac: true,
    resetsVf: ["mac", "vlan", "trust", "linkState"],
    inReset: {
      list: { blockMs: 0 },
      set: { errno: "EAGAIN", blockMs: 300 },
      up: { errno: "EBUSY" },
      linkMac: { errno: "EBUSY" },
    },
    busyWhileMaking: "EAGAIN",
    rate: { min: false, needsCarrier: true, maxMbps: 40_000 },
  },
  ixgbe: {
    driver: "ixgbe",
    vfDriver: "ixgbevf",
    spoofchk: true,
    showsOwnMac: true,
    pinned: "EPERM",
    pinnedTakesEqual: true,
    pinsOnEqualMac: true,
    macReachesVf: "next reset",
    resetsVf: [],
    resetMs: 0,
    inReset: {},
    closesMailbox: ["trust", "linkState"],
    rate: { min: false, needsCarrier: true, maxMbps: 10_000 },
    linkState: "ignores enable",
    proto8021ad: "refused",
    spoofNeedsAdminMac: false,
    guidFromAdminMac: false,
    listEnds: 256,
  },
  bnxt: {
    driver: "bnxt_en",
    vfDriver: "bnxt_en",
    spoofchk: false,
    showsOwnMac: true,
    pinned: "EADDRNOTAVAIL",
    pinnedTakesEqual: true,
    pinsOnEqualMac: true,
    macReachesVf: "rebind",
    resetsVf: [],
    resetMs: 0,
    inReset: {},
    closesMailbox: [],
    rate: { min: true, needsCarrier: false, maxMbps: 100_000 },
    linkState: "works",
    proto8021ad: "works",
    spoofNeedsAdminMac: false,
    guidFromAdminMac: false,
    listEnds: 256,
  },
  igb: {
    driver: "igb",
    vfDriver: "igbvf",
    spoofchk: true,
    showsOwnMac: true,
    pinned: "EADDRNOTAVAIL",
    pinnedTakesEqual: false,
    pinsOnEqualMac: true,
    macReachesVf: "rebind",
    resetsVf: [],
    resetMs: 0,
    inReset: {},
    closesMailbox: [],
    rate: { min: false, needsCarrier: true, maxMbps: 1000 },
    linkState: "no op",
    proto8021ad: "refused",
    spoofNeedsAdminMac: false,
    guidFromAdminMac: false,
    listEnds: 256,
  },
} as const satisfies Record<string, Profile>;

export const NO_MAC = "00:00:00:00:00:00";

/** What the PF keeps for a VF that was just made. */
export const freshVf = ({ spoofchk }: Profile): VfState => ({
  mac: NO_MAC,
  vlan: 0,
  qos: 0,
  proto: 0x8100,
  minTxRate: 0,
  maxTxRate: 0,
  spoofchk,
  trust: false,
  linkState: "auto",
});
