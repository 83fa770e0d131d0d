import type { Attachment } from "../world/runtime.ts";
import type { World } from "../world/world.ts";
import { numberOf } from "./addresses-of.ts";
import { Deciders } from "./deciders.ts";

/** An ADD that answered is true: distinct addresses, one of each range within its bounds, and each is this sandbox's. */
export function checkAdded(world: World, { rail, containerId, pod, ifname }: Attachment, ips: readonly string[]): void {
  const { range = "", ipRanges } = rail.ipam;
  const who = `${pod.metadata.name} (${ifname}, ${containerId.slice(0, 8)})`;
  if (new Set(ips).size < ips.length) world.fail("an interface has an address twice", `${who}: ${ips.join(", ")}`);
  (ipRanges ?? [{ range, range_start: undefined, range_end: undefined }]).forEach(({ range_start, range_end }, i) => {
    const value = numberOf(ips[i]!);
    if (range_start && (value < numberOf(range_start) || value > numberOf(range_end!)))
      world.fail("an address out of its range", `${who}: ${ips[i]} of ${range_start} to ${range_end}`);
  });
  const deciders = new Deciders(world);
  for (const ip of ips) {
    const holder = deciders.holder(ip);
    if (holder !== containerId)
      world.fail("an ADD answered what is not so", `${who}: ${ip} is ${holder?.slice(0, 8)}'s`);
  }
}
