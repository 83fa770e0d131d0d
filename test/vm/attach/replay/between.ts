import type { Vf } from "../support/node.ts";
import { type GoldRecord, type IpLink, netnsOf, type OriginalVf, originalOf, type State, type Step } from "./record.ts";

/** What was done to a node before a step and shows in no state after it, by case and number of the step. */
const UNSEEN: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  "30-mtu": { 2: "ip -n pod link set net1 mtu 1300" }, // DEL has put it back before the next state is taken
};

const LINK_STATES = ["auto", "enable", "disable"];

/**
 * Shell lines that do to this node what was done to the recorded one between two steps. Records hold states, not these
 * commands: they follow from the difference of two states and from what sriov-cni noted of the VF.
 */
export function between(record: GoldRecord, i: number, vf: Vf): string[] {
  const [before, step] = [record.steps[i - 1]!, record.steps[i]!];
  const netns = netnsOf(record);
  const unseen = UNSEEN[record.case]?.[i];
  return [
    ...namespaces(record, i, netns),
    ...strangers(before, step, netns),
    ...beforeAdd(before, originalOf(step), step.what === "ADD", vf),
    ...(step.env && step.what !== "CHECK" ? [] : changesInPod(before, step, netns)),
    ...(unseen ? [unseen] : []),
  ];
}

function namespaces(record: GoldRecord, i: number, netns: string): string[] {
  const [before, step] = [record.steps[i - 1]!, record.steps[i]!];
  const isHere = ({ pod_addr }: State) => pod_addr !== undefined;
  const other = step.env?.["CNI_NETNS"]?.split("/").pop();
  const isNew =
    other && other !== netns && !record.steps.slice(0, i).some((s) => s.env?.["CNI_NETNS"]?.endsWith(other));
  return [
    ...(isHere(before) && !isHere(step) ? [`ip netns del ${netns}`, "until_home"] : []),
    ...(!isHere(before) && isHere(step) ? [`command ip netns add ${netns}`] : []),
    ...(isNew && !step.stdout?.includes("failed to open netns") ? [`command ip netns add ${other}`] : []),
  ];
}

/** Links in the pod that are no VF. After a clash sriov-cni has renamed the stranger: it had the wanted name before. */
function strangers(before: State, { pod_addr = [], stdout, env }: Step, netns: string): string[] {
  const isStranger = (l: IpLink) => l.ifname !== "lo" && !l.parentdev;
  if (before.pod_addr?.some(isStranger)) return [];
  return pod_addr.filter(isStranger).map(({ ifname, linkinfo }) => {
    const name = stdout?.includes("file exists") ? env!["CNI_IFNAME"] : ifname;
    return `ip -n ${netns} link add ${name} type ${linkinfo?.info_kind ?? "dummy"}`;
  });
}

/** The VF as sriov-cni found it, where that differs from the state that was taken before. */
function beforeAdd(before: State, was: OriginalVf | undefined, isAdd: boolean, { name, pf, index }: Vf): string[] {
  const host = before.host_vf?.[0];
  const at = before.pf[0]!.vfinfo_list!.find((v) => v.vf === index)!;
  if (!was || !isAdd || !host) return [];
  const vlan = at.vlan_list[0] ?? {};
  const set = (differs: boolean, command: string) => (differs ? [`ip link set ${command}`] : []);
  const proto = was.VlanProto === 0x88a8 ? " proto 802.1ad" : "";
  return [
    ...set(was.MTU !== host.mtu, `${name} mtu ${was.MTU}`),
    ...set(was.HostIFName !== host.ifname, `${host.ifname} name ${was.HostIFName}`),
    ...set(was.EffectiveMAC !== host.address, `${was.HostIFName} address ${was.EffectiveMAC}`),
    ...set(!/^[0:]*$/.test(was.AdminMAC) && was.AdminMAC !== at.address, `${pf} vf ${index} mac ${was.AdminMAC}`),
    ...set(
      was.Vlan !== (vlan.vlan ?? 0) || was.VlanQoS !== (vlan.qos ?? 0),
      `${pf} vf ${index} vlan ${was.Vlan} qos ${was.VlanQoS}${proto}`,
    ),
    ...set(was.MaxTxRate !== at.rate.max_tx, `${pf} vf ${index} max_tx_rate ${was.MaxTxRate}`),
    ...set(was.SpoofChk !== at.spoofchk, `${pf} vf ${index} spoofchk ${was.SpoofChk ? "on" : "off"}`),
    ...set(was.Trust !== at.trust, `${pf} vf ${index} trust ${was.Trust ? "on" : "off"}`),
    ...set(LINK_STATES[was.LinkState] !== at.link_state, `${pf} vf ${index} state ${LINK_STATES[was.LinkState]}`),
  ];
}

/** What somebody changed of the links in the pod, where no plugin can have done so. */
function changesInPod(before: State, now: State, netns: string): string[] {
  return (now.pod_addr ?? []).flatMap((link) => {
    const was = before.pod_addr?.find((l) => l.ifname === link.ifname);
    if (!was || link.ifname === "lo") return [];
    const dev = `dev ${link.ifname}`;
    const addresses = (l: IpLink) =>
      (l.addr_info ?? []).filter((a) => a.scope !== "link").map((a) => `${a.local}/${a.prefixlen}`);
    const [then, here] = [addresses(was), addresses(link)];
    const set = (differs: boolean, command: string) => (differs ? [`ip -n ${netns} ${command}`] : []);
    return [
      ...set(was.mtu !== link.mtu, `link set ${dev} mtu ${link.mtu}`),
      ...set(was.address !== link.address, `link set ${dev} address ${link.address}`),
      ...then.filter((a) => !here.includes(a)).map((a) => `ip -n ${netns} addr del ${a} ${dev}`),
      ...here.filter((a) => !then.includes(a)).map((a) => `ip -n ${netns} addr add ${a} ${dev}`),
      ...set(was.flags.includes("UP") && !link.flags.includes("UP"), `link set ${dev} down`),
    ];
  });
}
