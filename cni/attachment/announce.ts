import { setTimeout as sleep } from "node:timers/promises";
import { IFA_F_DADFAILED, IFA_F_TENTATIVE, listAddresses, parseAddress } from "../../kernel/address.ts";
import { type Link, linkOf } from "../../kernel/link.ts";
import { announce } from "../../kernel/neighbour.ts";
import { ipText, splitCidr } from "../../kernel/netlink/ip-bytes.ts";
import type { NetlinkConnection } from "../../kernel/netlink/message.ts";
import { NetlinkSocket } from "../../kernel/netlink/socket.ts";
import { inNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import type { Host } from "../host.ts";
import { isIPv6 } from "../protocol/ip.ts";
import type { Result } from "../protocol/result.ts";

const CARRIER_WAIT_MS = 200;

/** Addresses of a pod that are examined; a pod may have any number. */
const MOST = 100_000;

/**
 * Announces new addresses to the neighbours once the caller has its answer: waits for the carrier as sriov-cni does
 * (200 ms), then sends a gratuitous ARP or an unsolicited neighbour advertisement per address. Never fails.
 *
 * A tentative IPv6 address is left to the kernel, which advertises it when duplicate address detection has ended
 * (`ndisc_notify`): if an earlier advertisement is looped back by the NIC (igb does that), the kernel concludes that
 * another host has the address, and gives it up.
 */
export function announceAfterwards(netns: Fd, ifname: string, { ips }: Result, host: Host): void {
  if (ips.length === 0) return;
  const own = netns.duplicate();
  host.afterwards(async () => {
    using _own = own;
    try {
      using pod = inNetns(own, () => new NetlinkSocket());
      const { index, mac } = await withCarrier(pod, ifname);
      const addresses = ips.map((ip) => asKernelSays(ip.address));
      const unsure = addresses.some(isIPv6) ? unsureAddresses(pod, index) : [];
      const sure = addresses.filter((address) => !unsure.includes(address));
      for (const socket of inNetns(own, () => announce(index, mac, sure))) socket.closeLater();
    } catch (err) {
      host.log.debug({ err, ifname }, "addresses not announced");
    }
  });
}

function unsureAddresses(pod: NetlinkConnection, index: number): string[] {
  const there = pod.dump(listAddresses(), { most: MOST }).map(parseAddress);
  return there.filter((a) => a.index === index && a.flags & (IFA_F_TENTATIVE | IFA_F_DADFAILED)).map((a) => a.cidr);
}

function asKernelSays(cidr: string): string {
  const { bytes, bits } = splitCidr(cidr);
  return `${ipText(bytes)}/${bits}`;
}

/** The link once it has carrier, or as it is after the wait. */
async function withCarrier(pod: NetlinkConnection, ifname: string): Promise<Link> {
  for (let waitedMs = 0, pauseMs = 2; ; waitedMs += pauseMs, pauseMs *= 1.5) {
    const link = pod.get(linkOf({ name: ifname }));
    if (link.running || waitedMs >= CARRIER_WAIT_MS) return link;
    await sleep(pauseMs);
  }
}
