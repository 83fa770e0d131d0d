import { setTimeout as sleep } from "node:timers/promises";
import type { Link } from "../../kernel/link.ts";
import { probe } from "../../kernel/neighbour.ts";
import { inNetns } from "../../kernel/netns.ts";
import type { Fd } from "../../kernel/syscall.ts";
import { ATTACH_CODE } from "../codes.ts";
import { CniError } from "../protocol/error.ts";
import type { Result } from "../protocol/result.ts";

/** Two probes, each waited for this long: a rail is one switch wide. RFC 5227 asks for seconds, for a whole campus. */
const WAIT_MS = 100;
const PROBES = 2;

/**
 * Asks on the rail whether another host already has one of these addresses.
 *
 * @throws {CniError} 105 naming the MAC that answered.
 */
export async function refuseDuplicates(netns: Fd, link: Link, { ips }: Result): Promise<void> {
  await Promise.all(ips.map(({ address }) => refuseDuplicate(netns, link, address.split("/")[0]!)));
}

async function refuseDuplicate(netns: Fd, link: Link, ip: string): Promise<void> {
  for (let left = PROBES; left > 0; left--) {
    using asked = inNetns(netns, () => probe(link.index, link.mac, ip));
    await sleep(WAIT_MS);
    const owner = asked.owner();
    if (owner)
      throw new CniError(ATTACH_CODE.DUPLICATE_ADDRESS, `cannot use address ${ip}: the host ${owner} has it already`);
  }
}
