import type { Test } from "tap";
import type { Via } from "./call.ts";
import type { World } from "./world.ts";

type Json = Record<string, unknown>;

/**
 * The host's links and their addresses as `ip -j -d addr` shows them. The far ends of the pairs stand for switch ports:
 * their state follows the VFs late, and is left out.
 */
export async function picture(world: World): Promise<Json[]> {
  const links = await world.host.show("addr");
  return links
    .map(
      ({ ifname, flags, operstate, addr_info, link_netnsid: _, link_index: __, ...rest }): Json & { name: string } => {
        const name = String(ifname);
        const addresses = (addr_info as Json[])
          .filter(({ scope }) => scope !== "link") // the kernel's own, which it adds late
          .map(({ local, prefixlen }) => `${local}/${prefixlen}`);
        return { name, ...rest, ...(isPort(name) ? {} : { flags, operstate, addresses }) };
      },
    )
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

const isPort = (name: string): boolean => /^(rail|bare).*p$/.test(name);

/** What a node must show when nothing is attached. */
export async function leftovers(world: World): Promise<Json> {
  return { links: await picture(world), records: world.records(), deviceInfos: world.deviceInfos() };
}

/** Containers that have an address reserved: IPAM's ADD was called and its DEL was not called after it. */
export function unreleased(world: World): string[] {
  const held = new Set<string>();
  for (const { verb, containerId } of world.ipam.calls()) {
    if (verb === "ADD") held.add(containerId);
    if (verb === "DEL") held.delete(containerId);
  }
  return [...held];
}

/**
 * Runs a scenario and asserts that the node is as before: links, journal, device-info files, addresses, locks, and no
 * process of it left.
 */
export async function unchanged(t: Test, world: World, via: Via, scenario: () => Promise<void>): Promise<void> {
  await unchangedButLocks(t, world, via, scenario);
  t.same(world.locks(), [], "no lock file is left");
}

/** As unchanged(), and then the first VF can be attached and detached; a killed holder's lock file may stay until then. */
export async function reusable(t: Test, world: World, via: Via, scenario: () => Promise<void>): Promise<void> {
  await unchangedButLocks(t, world, via, scenario);
  await unchanged(t, world, via, () => nextAttachmentWorks(t, world, via));
}

async function unchangedButLocks(t: Test, world: World, via: Via, scenario: () => Promise<void>): Promise<void> {
  world.ipam.reset();
  world.faults();
  await world.use(via);
  const before = await leftovers(world);
  const networks = await world.podNetworks();
  await scenario();
  world.faults();
  const now = await world.podNetworks();
  for (const [path, network] of Object.entries(networks)) if (now[path]) t.same(now[path], network, `eth0 of ${path}`);
  t.same(await leftovers(world), before, "links, records and device-info files are as before");
  t.same(unreleased(world), [], "no address is left");
  await world.quiet().catch(() => t.same(world.processes(), [], "no process is left"));
}

async function nextAttachmentWorks(t: Test, world: World, via: Via): Promise<void> {
  const next = world.attachment(await world.spare());
  const added = await world.call(via, "ADD", next);
  t.equal(added.exit, 0, `the next ADD of the VF works: ${added.stdout}`);
  const deleted = await world.call(via, "DEL", next);
  t.equal(deleted.exit, 0, `and its DEL: ${deleted.stdout}`);
}
