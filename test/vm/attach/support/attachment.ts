import { type CniCall, IPAM_DIR, type Vf } from "./node.ts";

/** An attachment that a test makes and ends: who, in which namespace, as what, with which VF and settings. */
export interface Wanted {
  readonly pod: string;
  /** Default: the pod's name. */
  readonly netns?: string;
  readonly ifname?: string;
  readonly vf: Vf;
  readonly settings?: Readonly<Record<string, unknown>>;
}

/** Something for every setting that igb has; nothing of it is what a VF has at rest. */
export function everySetting({ rail, index }: Vf): Record<string, unknown> {
  return {
    vlan: 100 + rail,
    vlanQoS: 3,
    mac: `02:00:00:00:0${rail}:0${index}`,
    trust: "on",
    spoofchk: "off",
    max_tx_rate: 200,
    mtu: 1400,
    sourceRules: true,
    ipam: {
      type: "host-local",
      ranges: [[{ subnet: `10.${rail}.0.0/24` }]],
      routes: [{ dst: `10.1${rail}.${index}.0/24` }],
    },
  };
}

export const netnsOf = ({ pod, netns }: Wanted): string => netns ?? pod;
export const ifnameOf = ({ ifname }: Wanted): string => ifname ?? "net1";

/** The runtime's call for it. @param netns "" as for a sandbox that is gone. */
export function cniCall(
  verb: string,
  wanted: Wanted,
  { netns = `/run/netns/${netnsOf(wanted)}`, more = {} } = {},
): CniCall {
  const { pod, vf, settings = everySetting(vf) } = wanted;
  return {
    env: {
      CNI_COMMAND: verb,
      CNI_CONTAINERID: pod,
      CNI_NETNS: netns,
      CNI_IFNAME: ifnameOf(wanted),
      CNI_PATH: IPAM_DIR,
      CNI_ARGS: `IgnoreUnknown=1;K8S_POD_NAMESPACE=test;K8S_POD_NAME=${pod}`,
    },
    stdin: JSON.stringify({
      cniVersion: "1.1.0",
      name: "rails",
      type: "railnet-sriov",
      deviceID: vf.pci,
      ...settings,
      ...more,
    }),
  };
}
