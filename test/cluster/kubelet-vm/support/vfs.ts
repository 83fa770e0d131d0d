import { isDeepStrictEqual } from "node:util";
import type { Test } from "tap";
import type { Json } from "../../../../lab/cluster/raw.ts";
import { networkStatus } from "../../../../lab/kubelet/pods.ts";
import { look } from "../../../../lab/kubelet/state.ts";
import { until } from "../../../../lab/until.ts";
import { RAILS } from "./rails.ts";
import type { Worker } from "./worker.ts";

const LIMIT_MS = 240_000;

/** What `ip -j -d link` shows of the VFs at each PF. */
export async function vfsAtPfs({ node }: Worker): Promise<Json[][]> {
  const links: Json[] = JSON.parse(await node.exec(["ip", "-j", "-d", "link"]));
  return RAILS.map((rail) => links.find(({ ifname }) => ifname === rail).vfinfo_list);
}

/**
 * Asserts that each pod's interface is the VF of its rail that Multus names, up, with its MAC at the PF, and that no VF and
 * no address is two pods'; the API's records are those.
 *
 * @param links of the rails, in each pod.
 */
export async function checkVfs(
  t: Test,
  worker: Worker,
  running: readonly Json[],
  links: readonly Json[][],
): Promise<void> {
  const atPfs = await vfsAtPfs(worker);
  const all = running.flatMap((pod, i) =>
    networkStatus(pod).map(({ interface: ifname, ips, mac, "device-info": info }, rail) => {
      const vf: string = info.pci["pci-address"];
      const atPf = atPfs[rail]![worker.rails[rail]!.vfs.findIndex(({ pci }) => pci === vf)];
      const { parentdev, operstate } = links[i]![rail];
      t.same(
        { parentdev, operstate, mac: atPf?.address },
        { parentdev: vf, operstate: "UP", mac },
        `VF ${vf} of ${RAILS[rail]}`,
      );
      return { vf, address: `${ips![0]} default/${pod.metadata.name} ${ifname}` };
    }),
  );
  t.equal(new Set(all.map(({ vf }) => vf)).size, RAILS.length * running.length, "no VF is two pods'");
  const addresses = all.map(({ address }) => address).sort();
  let reserved: readonly string[] = [];
  const is = async () => {
    reserved = (await look(worker)).reservations;
    return isDeepStrictEqual(reserved, addresses);
  };
  await until("each address is one pod's", is, { limitMs: LIMIT_MS, everyMs: 1000 }).catch(() => {}); // those of pods that a reboot has ended go minutes later
  t.same(reserved, addresses, "each address is one pod's");
}
