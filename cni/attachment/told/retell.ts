import type { Host } from "../../host.ts";
import { openOwnNetns } from "../own-netns.ts";
import { look } from "../rdma-ready.ts";
import type { Attachment } from "../record.ts";
import { tellPod, toldOf } from "./tell.ts";
import { toldRdma } from "./told-rail.ts";

/**
 * Tells a living pod of its RDMA device once more, where that has come to be another: its driver made it anew, or its port lost
 * carrier, and the GID table has the address at another place. The caller holds the attachment's lock.
 *
 * @param names of the RDMA devices in the pod, where they are new.
 * @returns what has changed, for people; empty: nothing, or the pod was told of no RDMA device.
 */
export async function retell(a: Attachment, host: Host, names?: readonly string[]): Promise<string> {
  const told = toldOf(a.containerId, host).find(({ pci }) => pci === a.device.pci);
  const device = names?.[0] ?? told?.rdma?.device;
  using netns = told && device ? openOwnNetns(a, host) : undefined;
  if (!told || !device || !netns) return "";
  const addresses = a.addresses?.ips.map(({ address }) => address.split("/", 1)[0]!) ?? [];
  const asked = {
    pci: a.device.pci,
    devices: [device],
    isMoved: (a.original.rdma ?? []).length > 0,
    netns,
    addresses,
    ...(told.mtu !== undefined && { linkMtu: told.mtu }),
    config: { rdma: "auto" as const },
  };
  const seen = look(device, asked, host)?.seen;
  const now = seen && toldRdma(seen, told.rdma);
  if (!now || isSame(now, told.rdma)) return "";
  await tellPod(a.containerId, [{ ...told, rdma: now }], host);
  const gid = (index: number | undefined) => (index === undefined ? "none" : `${index}`);
  return `${device} of ${told.name}: ${now.state}, GID index ${gid(now.gidIndex)}, was ${gid(told.rdma?.gidIndex)}`;
}

const isSame = (a: object, b: object | undefined): boolean => JSON.stringify(a) === JSON.stringify(b);
