import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Vf } from "../support/node.ts";

/** A link as `ip -j -d` prints it. */
export interface IpLink {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly mtu: number;
  readonly address: string;
  readonly ifalias?: string;
  readonly parentdev?: string;
  readonly linkinfo?: { readonly info_kind?: string };
  readonly addr_info?: readonly IpAddress[];
  readonly vfinfo_list?: readonly IpVf[];
}
export interface IpAddress {
  readonly family: string;
  readonly local: string;
  readonly prefixlen: number;
  readonly scope: string;
}
export interface IpVf {
  readonly vf: number;
  readonly address: string;
  readonly vlan_list: readonly { vlan?: number; qos?: number; protocol?: string }[];
  readonly rate: { readonly max_tx: number; readonly min_tx: number };
  readonly spoofchk: boolean;
  readonly link_state: string;
  readonly trust: boolean;
}

/** PF, VF and pod after a step. `host_vf` is absent while the VF is not on the host, `pod_*` while the namespace is not there. */
export interface State {
  readonly pf: readonly IpLink[];
  readonly vf_netdev_in_host: string;
  readonly host_vf?: readonly IpLink[];
  readonly pod_addr?: readonly IpLink[];
  readonly pod_route?: readonly object[];
  readonly pod_route6?: readonly object[];
}

/** What a step was: a verb with its input and answer, or (without `env`) something that was done to the node. */
export interface Step extends State {
  readonly what: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: object | string;
  readonly exit?: number;
  readonly stdout?: string;
  /** The plugin's own files, by path below /var/lib/cni. */
  readonly state_files: Readonly<Record<string, { readonly content: string }>>;
}

/** What the real sriov-cni did in one case: first the state before, then one entry a step. */
export interface GoldRecord {
  readonly case: string;
  readonly steps: readonly Step[];
}

/** sriov-cni's note of a VF before ADD (`pkg/types/types.go`, VfState). */
export interface OriginalVf {
  readonly HostIFName: string;
  readonly AdminMAC: string;
  readonly EffectiveMAC: string;
  readonly MTU: number;
  readonly Vlan: number;
  readonly VlanQoS: number;
  readonly VlanProto: number;
  readonly MinTxRate: number;
  readonly MaxTxRate: number;
  readonly SpoofChk: boolean;
  readonly Trust: boolean;
  readonly LinkState: number;
}

/** All records of a folder, by name. */
export function loadRecords(folder: string): GoldRecord[] {
  return readdirSync(folder)
    .filter((file) => file.endsWith(".json"))
    .sort()
    .map((file) => JSON.parse(readFileSync(join(folder, file), "utf8")) as GoldRecord);
}

/** Name of the VF of a record, `rail2v0`: where it runs. */
export const vfNameOf = (record: GoldRecord): string => record.steps[0]!.vf_netdev_in_host;

/**
 * The record as this machine would have made it: its VF's own MAC (random at every boot), the IPv6 link-local address made
 * of it, and PCI addresses replaced; and with namespaces of its own, so that records can be replayed beside each other.
 */
export function translate(record: GoldRecord, vf: Vf): GoldRecord {
  const [start] = record.steps;
  const was = { vf: start!.host_vf![0]!, pf: start!.pf[0]! };
  const pairs: [string, string][] = [
    [was.vf.address, vf.mac],
    [linkLocal(was.vf.address), linkLocal(vf.mac)],
    [was.vf.parentdev!, vf.pci],
    [was.pf.parentdev!, vf.pfPci],
    ["/run/netns/", `/run/netns/${record.case}.`],
  ];
  const passing = pairs.reduce((text, [from], i) => text.replaceAll(from, `\u0001${i}\u0002`), JSON.stringify(record));
  return JSON.parse(pairs.reduce((text, [, to], i) => text.replaceAll(`\u0001${i}\u0002`, to), passing));
}

/** RFC 4291 2.5.1, Appendix A; written as the kernel does (RFC 5952). */
function linkLocal(mac: string): string {
  const b = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const groups = [((b[0]! ^ 2) << 8) | b[1]!, (b[2]! << 8) | 0xff, 0xfe00 | b[3]!, (b[4]! << 8) | b[5]!];
  return `fe80::${groups.map((g) => g.toString(16)).join(":")}`.replace("fe80::0:", "fe80::");
}

/** What sriov-cni noted of the VF before the ADD of this step; undefined when it kept nothing. */
export function originalOf({ env, state_files }: Step): OriginalVf | undefined {
  const file = state_files[`./sriov/${env?.["CNI_CONTAINERID"]}-${env?.["CNI_IFNAME"]}`];
  return file && (JSON.parse(file.content) as { OrigVfState: OriginalVf }).OrigVfState;
}

/** Network namespace that the record's states are about. */
export const netnsOf = (record: GoldRecord): string =>
  record.steps.map((s) => s.env?.["CNI_NETNS"]?.split("/").pop()).find(Boolean) ?? "pod";
