import type { How, Node, Vf } from "../support/node.ts";
import { between } from "./between.ts";
import { expected } from "./gains.ts";
import { type Outcome, only, outcomeOfAnswer, outcomeOfState, outcomeOfStep, said } from "./outcome.ts";
import { type GoldRecord, netnsOf, type State, type Step, translate, vfNameOf } from "./record.ts";

/** One step, as it was and as it should have been: equal, or there is a difference from sriov-cni that is no gain. */
export interface Replayed {
  readonly what: string;
  readonly actual: Outcome;
  readonly expected: Outcome;
  readonly gains: readonly string[];
  /** The error's text, if there was one. */
  readonly message?: string;
}

/** Does on a node what a record says was done, with our plugin in the place of sriov-cni. */
export async function replay(node: Node, how: How, original: GoldRecord): Promise<Replayed[]> {
  const vf = node.vfs.find(({ name }) => name === vfNameOf(original))!;
  const record = translate(original, vf);
  const run = { node, how, record, vf };
  let before = await observeVf(run, beginRecord(run));
  let beforeAdd: Outcome | undefined;
  const replayed: Replayed[] = [
    { what: "start", actual: before, expected: outcomeOfStep(record.steps[0]!, vf.index), gains: [] },
  ];
  for (const [i, step] of record.steps.entries()) {
    if (i === 0) continue;
    const commands = between(record, i, vf);
    if (commands.length > 0) before = await observeVf(run, [untilHome(vf), ...commands].join("\n"));
    if (!beforeAdd && step.what === "ADD" && before.host) beforeAdd = before;
    const { answer, message } = await doStep(run, step);
    const after = await observeVf(run, "", step);
    const { outcome, gains } = expected(outcomeOfStep(step, vf.index), { step, vf, before, beforeAdd });
    const actual = only({ ...answer, ...after }, outcome);
    replayed.push({ what: step.what, actual, expected: said(outcome), gains, ...(message && { message }) });
    before = after;
  }
  return replayed;
}

/** Replays records, those of different VFs beside each other. In the order of the records. */
export async function replayAll(node: Node, how: How, records: readonly GoldRecord[]): Promise<Replayed[][]> {
  const replayed: Replayed[][] = [];
  const ofVf = Map.groupBy(records.keys(), (i) => vfNameOf(records[i]!));
  const waiting = [...ofVf.values()];
  const lane = async () => {
    for (let mine = waiting.shift(); mine; mine = waiting.shift())
      for (const i of mine) replayed[i] = await replay(node, how, records[i]!);
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  return replayed;
}

/** The machine has two processors. */
const LANES = 3;

/** A record's VF on this node. */
interface Scene {
  readonly node: Node;
  readonly record: GoldRecord;
  readonly vf: Vf;
}
interface Run extends Scene {
  readonly how: How;
}

async function doStep({ node, how }: Run, { env, stdin }: Step): Promise<{ answer: Outcome; message?: string }> {
  if (!env) return { answer: {} };
  const text = typeof stdin === "string" ? stdin : JSON.stringify(stdin);
  const { exit, json } = await node.cni(how, { env, stdin: text });
  return { answer: outcomeOfAnswer(exit, json), ...(json?.msg && { message: json.msg }) };
}

/** Defines `until_home`: waits until the VF is back from a namespace that ended. */
const untilHome = ({ pci }: Vf): string =>
  `until_home() { for ((i = 0; i < 250; i++)); do at=(/sys/bus/pci/devices/${pci}/net/*); [ ! -e "\${at[0]}" ] || return 0; sleep 0.02; done; }`;

/** VF, PF settings and namespaces as the records begin; no plugin remembers anything. */
export const beginRecord = (scene: Scene): string => `${resetVf(scene)}; command ip netns add ${netnsOf(scene.record)}`;

/** VF and PF settings as the records begin, no namespaces; no plugin remembers anything. */
export const resetVf = ({ record, vf }: Scene): string => {
  const { name, pci, mac, pf, index } = vf;
  return `
    for n in /run/netns/${record.case}.*; do [ ! -e "$n" ] || ip netns del "\${n##*/}"; done
    ${untilHome(vf)}
    until_home
    now=(/sys/bus/pci/devices/${pci}/net/*); now=\${now##*/}
    [ "$now" = ${name} ] || { ip link set "$now" down; ip link set "$now" name ${name}; }
    ip -force -batch - << END 2> /dev/null || true
link set ${name} down
link set ${name} mtu 1500 alias ""
link set ${pf} vf ${index} trust on
link set ${name} address ${mac}
link set ${pf} vf ${index} trust off spoofchk on
link set ${pf} vf ${index} vlan 0
link set ${pf} vf ${index} max_tx_rate 0
link set ${pf} vf ${index} mac 00:00:00:00:00:00
END
    rm -f /var/lib/railnet/attachments/*@${pci}.json`;
};

/** State of PF, VF and pod, after `first`. With a step it waits until what comes by itself (IPv6 link-local address) has come. */
export async function observeVf(
  { node, record, vf: { pci, pf, index } }: Scene,
  first = "",
  step?: Step,
): Promise<Outcome> {
  const text = await node.ask(`
    ${first}
    ns=${netnsOf(record)}; ${step && waitsFor(step) ? SETTLE : ""}
    dev=(/sys/bus/pci/devices/${pci}/net/*); dev=\${dev##*/}; [ "$dev" != '*' ] || dev=
    kept=(/var/lib/railnet/attachments/*@${pci}.json); [ -e "$kept" ] || kept=()
    echo "$dev"; echo "\${#kept[@]}"
    printf '%s\\n' "\${dev:+addr show dev $dev}" 'link show dev ${pf}' | ip -d -j -batch -
    if [ -e /run/netns/$ns ]; then ip -n $ns -d -j addr; ip -n $ns -j route; ip -n $ns -6 -j route; fi`);
  const [dev = "", remembered, ...json] = text.split("\n").filter((line, i) => line || i === 0);
  const parsed = json.map((line) => JSON.parse(line));
  const [host, pf_, pod, ...routes] = dev ? parsed : [undefined, ...parsed];
  const state: State = {
    pf: pf_,
    vf_netdev_in_host: dev,
    ...(host && { host_vf: host }),
    ...(pod && { pod_addr: pod, pod_route: routes[0], pod_route6: routes[1] }),
  };
  return { ...outcomeOfState(state, index), remembered: Number(remembered) };
}

const waitsFor = ({ pod_addr }: Step): boolean =>
  pod_addr?.some((l) => l.ifname !== "lo" && l.addr_info?.some((a) => a.scope === "link")) ?? false;

const SETTLE =
  'for ((i = 0; i < 50; i++)); do [ -z "$(ip -n $ns -6 addr show scope link)" ] || break; sleep 0.02; done';
