import type { Node } from "./node.ts";

type Json = Record<string, unknown>;

/**
 * The host's links with the PFs' settings for their VFs, as `ip -j -d link` shows them, by name. Left out is what says when
 * a link was made or last up: index, carrier, queueing discipline, and the address igbvf was told at its last reset.
 */
export async function picture(node: Node): Promise<Record<string, unknown>> {
  const links = JSON.parse(await node.ask("ip -j -d link")) as Json[];
  const kept = links.map(({ ifindex, operstate, qdisc, permaddr, ...rest }) => rest);
  return Object.fromEntries(
    kept.map((link): [string, Json] => [String(link["ifname"]), link]).sort(([a], [b]) => (a < b ? -1 : 1)),
  );
}

/** All that must be gone when no attachment is left: records, and addresses that the IPAM plugin has given away. */
export async function leftovers(node: Node): Promise<string[]> {
  const text = await node.ask(
    "cd /var/lib; find railnet/attachments railnet/torn cni/networks -type f ! -name lock ! -name 'last_reserved*' 2> /dev/null || true",
  );
  return text.split("\n").filter(Boolean);
}

/** What a node is at rest; every scenario has to leave it so: same picture, nothing remembered, no address given away. */
export async function takeRest(node: Node): Promise<(t: Test, when: string) => Promise<void>> {
  const before = await picture(node);
  return async (t, when) => {
    t.same(await picture(node), before, `${when}: PFs and VFs are as before`);
    t.same(await leftovers(node), [], `${when}: nothing is remembered, no address is taken`);
  };
}

/** All that is used of a tap test. */
export interface Test {
  same(found: unknown, wanted: unknown, message: string): unknown;
}
