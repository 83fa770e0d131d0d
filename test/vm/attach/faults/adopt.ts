import { resolve } from "node:path";
import type { Test } from "tap";
import { between } from "../replay/between.ts";
import { outcomeOfStep } from "../replay/outcome.ts";
import { type GoldRecord, loadRecords, netnsOf, type Step, translate, vfNameOf } from "../replay/record.ts";
import { beginRecord, observeVf, resetVf } from "../replay/replay.ts";
import type { Node, Vf } from "../support/node.ts";
import { takeRest } from "../support/picture.ts";

/**
 * Attachments that sriov-cni made, from the records: VF, pod and its files as it left them after ADD. Then the node is ours,
 * and its DEL comes to us.
 */
export async function adoptTests(t: Test, node: Node): Promise<void> {
  const isAtRest = await takeRest(node);
  const records = loadRecords(resolve(import.meta.dirname, "../../gold"));
  await node.startAgent();
  for (const original of records) {
    const vf = node.vfs.find(({ name }) => name === vfNameOf(original))!;
    const record = translate(original, vf);
    const add = record.steps.findIndex(({ what, exit }) => what === "ADD" && exit === 0);
    const del = record.steps.find(({ what }, i) => what === "DEL" && i > add);
    if (add < 0 || !del) continue;
    await t.test(`DEL of what sriov-cni attached in case ${record.case} restores what its files say`, (t) =>
      adopt(t, node, record, vf, record.steps[add]!, del),
    );
  }
  await isAtRest(t, "after all");
}

async function adopt(t: Test, node: Node, record: GoldRecord, vf: Vf, added: Step, del: Step): Promise<void> {
  const where = { node, record, vf };
  const preset = between(record, record.steps.indexOf(added), vf);
  const before = await observeVf(where, [beginRecord(where), ...preset].join("\n"));
  await node.ask([...asLeftBySriov(record, vf, added), ...filesOf(added)].join("\n"));
  t.same(
    (await observeVf(where)).vf,
    outcomeOfStep(added, vf.index).vf,
    "the PF's settings are as sriov-cni left them",
  );
  if (record.steps.some(({ what }) => what === "netns-deleted"))
    await node.ask(`ip netns del ${netnsOf(record)}; sleep 0.5`);
  if (record.case === "11-all") await olderOwner(t, node, del);
  const reply = await node.cni("shim", { env: del.env!, stdin: JSON.stringify(del.stdin) });
  t.same(reply.exit, 0, `DEL ${JSON.stringify(reply.json)}`);
  const after = await observeVf(where);
  t.same({ vf: after.vf, host: after.host }, { vf: before.vf, host: before.host }, "VF and PF are as before its ADD");
  t.equal(await node.ask("find /var/lib/cni/sriov -type f ! -name '*.lock'"), "", "its files are gone");
  await node.ask(resetVf(where));
  await node.restoreMac(vf);
}

/** A late DEL of one who had the VF before: sriov-cni never got his DEL, and has given the VF on since. */
async function olderOwner(t: Test, node: Node, { env, stdin }: Step): Promise<void> {
  const files = `cd /var/lib/cni/sriov; ls -R; ip -j -d link; ip -all netns exec ip -j -d addr`;
  const own = `/var/lib/cni/sriov/${env!["CNI_CONTAINERID"]}-${env!["CNI_IFNAME"]}`;
  const before = await node.steady(files);
  await node.ask(`cp ${own} /var/lib/cni/sriov/older-net1; touch -d "1 hour ago" /var/lib/cni/sriov/older-net1`);
  for (const netns of ["", env!["CNI_NETNS"]!]) {
    const late = { ...env, CNI_CONTAINERID: "older", CNI_NETNS: netns };
    t.same((await node.cni("shim", { env: late, stdin: JSON.stringify(stdin) })).exit, 0, "DEL of an earlier owner");
  }
  t.equal(await node.steady(files), before, "it touches nothing of the later one");
}

/** What sriov-cni's ADD did to the node, by the state after it; igb wants trust first, then the link's MAC, then the PF's. */
function asLeftBySriov(record: GoldRecord, { name, pf, index }: Vf, { pf: pfs, pod_addr }: Step): string[] {
  const at = pfs[0]!.vfinfo_list!.find((v) => v.vf === index)!;
  const link = pod_addr!.find((l) => l.parentdev)!;
  const { vlan = 0, qos = 0 } = at.vlan_list[0] ?? {};
  const netns = netnsOf(record);
  return [
    `ip link set ${name} mtu ${link.mtu}`,
    `ip link set ${pf} vf ${index} trust on`,
    `ip link set ${name} address ${link.address}`,
    ...(/^[0:]+$/.test(at.address) ? [] : [`ip link set ${pf} vf ${index} mac ${at.address}`]),
    `ip link set ${pf} vf ${index} vlan ${vlan} qos ${qos}`,
    `ip link set ${pf} vf ${index} max_tx_rate ${at.rate.max_tx} min_tx_rate ${at.rate.min_tx}`,
    `ip link set ${pf} vf ${index} spoofchk ${at.spoofchk ? "on" : "off"}`,
    `ip link set ${pf} vf ${index} trust ${at.trust ? "on" : "off"}`,
    `ip link set ${name} netns ${netns} name ${link.ifname}`,
    ...link
      .addr_info!.filter((a) => a.scope !== "link")
      .map((a) => `ip -n ${netns} addr add ${a.local}/${a.prefixlen} dev ${link.ifname}`),
    `ip -n ${netns} link set ${link.ifname} up`,
  ];
}

const filesOf = ({ state_files }: Step): string[] =>
  Object.entries(state_files).flatMap(([path, { content }]) => [
    `mkdir -p "$(dirname "/var/lib/cni/${path}")"`,
    `printf %s '${content}' > "/var/lib/cni/${path}"`,
  ]);
