import { setTimeout as sleep } from "node:timers/promises";
import type { Host } from "../host.ts";
import { codeOf } from "../kernel/errno.ts";
import { getLink, parseLink } from "../kernel/link.ts";
import { announce } from "../kernel/neighbour.ts";
import { NetlinkSocket } from "../kernel/netlink/socket.ts";
import { inNetns } from "../kernel/netns.ts";
import type { Fd } from "../kernel/syscall.ts";
import type { Result } from "../protocol/result.ts";

const CARRIER_WAIT_MS = 200;

/**
 * Tells the neighbours of the new address: waits for the carrier as sriov-cni does (200 ms), then a gratuitous ARP or
 * an unsolicited neighbour advertisement per address. Opens what it needs before it first waits. Never rejects.
 */
export async function announceLater(netns: Fd, ifname: string, { ips }: Result, host: Host): Promise<void> {
  if (ips.length === 0) return;
  try {
    using own = netns.duplicate();
    using pod = inNetns(own, () => new NetlinkSocket());
    const read = () => parseLink(pod.request(getLink({ name: ifname }))!);
    let link = read();
    for (let waited = 0, pauseMs = 2; !link.running && waited < CARRIER_WAIT_MS; waited += pauseMs, pauseMs *= 1.5) {
      await sleep(pauseMs);
      link = read();
    }
    for (const socket of inNetns(own, () =>
      announce(
        link.index,
        link.mac,
        ips.map((ip) => ip.address),
      ),
    ))
      socket.closeLater();
  } catch (error) {
    if (codeOf(error) !== "ENODEV") host.log.debug({ err: error, ifname }, "addresses not announced");
  }
}
