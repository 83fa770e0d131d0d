// Nodes on rails with the kernel's own driver, with carrier and cables: what flows between the primary addresses of two nodes see.
import { setTimeout as sleep } from "node:timers/promises";
import type { Test } from "tap";
import { until } from "../../../lab/until.ts";
import type { Machine } from "../../../lab/vm/machine.ts";
import { RAILS, RoutesNode } from "./node.ts";

/** UDP flows, and as many connections. Times are printed: an emulated processor beside others stands still for seconds. */
const MANY = 200;
const FEW = 8;
const FIRST_PORT = 20_000;
const without = (rail: string) => RAILS.filter((name) => name !== rail);

/** @param machines joined rail by rail, each with an address on each rail and a primary one; they are left as they were. */
export async function nodeRoutes(t: Test, machines: readonly [Machine, Machine]): Promise<void> {
  const pair = machines.map((machine, i) => new RoutesNode(machine, i + 1)) as [RoutesNode, RoutesNode];
  const [near, far] = pair;
  await both(pair, (node) => node.install());
  await both(pair, (node) => node.ask(`ping -q -c 1 -W 5 ${node.peer}`));
  const before = await both(pair, (node) => node.picture());
  const published = await both(pair, (node) => node.published());
  await both(pair, (node) => node.startAgent(published));
  await both(pair, (node) => node.goes(RAILS));
  await t.test("400 flows run over all four rails, and none over the normal network", (t) => spread(t, pair));
  await both(pair, (node) => node.startFlows(FEW, 0.1));
  for (const rail of RAILS)
    await t.test(`the cable of ${rail} is pulled under load, and put in again`, (t) => pull(t, near, far, rail));
  await t.test("all cables are pulled: the normal network carries it all, until they are back", (t) => pullAll(t, pair)); // biome-ignore format: one row
  await both(pair, (node) => node.stopFlows());
  await both(pair, (node) => node.stopAgent());
  t.same(await both(pair, (node) => node.picture()), before, "sysctls, routes and neighbours are as before");
}

const both = <R>(pair: readonly RoutesNode[], work: (node: RoutesNode) => Promise<R>): Promise<R[]> =>
  Promise.all(pair.map(work));

/** How flows fall is chance, and every boot's another one; with a seed it is the same each time. */
async function spread(t: Test, pair: readonly RoutesNode[]): Promise<void> {
  const seeds = await both(pair, (node) => node.ask("sysctl -n net.ipv4.fib_multipath_hash_seed; sysctl -qw net.ipv4.fib_multipath_hash_seed=1")); // biome-ignore format: one row
  await both(pair, (node) => node.startFlows(MANY, 1));
  const start = await both(pair, (node) => node.sent());
  await sleep(6_000);
  const end = await both(pair, (node) => node.sent());
  await both(pair, (node) => node.stopFlows());
  for (const [i, sent] of end.entries()) {
    const packets = new Map([...sent].map(([name, count]) => [name, count - start[i]!.get(name)!]));
    const byRail = RAILS.map((rail) => packets.get(rail) ?? 0);
    const even = byRail.reduce((sum, count) => sum + count, 0) / RAILS.length;
    const shares = byRail.map((count) => count / even);
    t.comment(`node ${i + 1}: shares ${shares.map((share) => share.toFixed(2))} of ${4 * even} packets`);
    t.ok(shares.every((share) => Math.abs(share - 1) < 0.15), `within 15 % of even: ${shares}`); // biome-ignore format: one row
    t.ok(packets.get("prim0")! < even / 50, `the normal network has none: ${packets.get("prim0")} packets`);
    await pair[i]!.ask(`sysctl -qw net.ipv4.fib_multipath_hash_seed=${seeds[i]!.trim()}`);
  }
}

/** The cable at one end, behind a switch: the other end keeps its carrier. */
async function pull(t: Test, near: RoutesNode, far: RoutesNode, rail: string): Promise<void> {
  const pair = [near, far];
  const by = await both(pair, (node) => node.railsOf(FIRST_PORT, FEW));
  await both(pair, (node) => node.flows());
  await near.machine.monitor(`set_link ${rail} off`);
  await both(pair, (node) => node.goes(without(rail)));
  const seen = await both(pair, (node) => node.flows());
  await goOn(t, pair);
  for (const [i, { flows }] of seen.toReversed().entries()) {
    const udp = by[i]!.map((way, k) => ({ way, ...flows[`udp ${FIRST_PORT + k}`]! }));
    const [its, others] = [udp.filter(({ way }) => way === rail), udp.filter(({ way }) => way !== rail)];
    const lost = others.reduce((sum, one) => sum + one.lost, 0);
    t.comment(`${i === 0 ? "near" : "far"}: silent for ${longest(its)} ms; others ${longest(others)} ms, and lost ${lost}`); // biome-ignore format: one row
  }
  await near.machine.monitor(`set_link ${rail} on`);
  const carrierAt = await near.carrierOf(rail);
  const [backAt] = await both(pair, (node) => node.goes(RAILS));
  t.comment(`back ${Math.round(1000 * (backAt! - carrierAt))} ms after the carrier`);
}

const longest = (flows: readonly { readonly ms: number }[]): number => Math.max(0, ...flows.map(({ ms }) => ms));

async function pullAll(t: Test, pair: readonly RoutesNode[]): Promise<void> {
  const plug = async (isIn: boolean) => {
    for (const rail of RAILS) await pair[0]!.machine.monitor(`set_link ${rail} ${isIn ? "on" : "off"}`);
  };
  await plug(false);
  await both(pair, (node) => node.goes([]));
  await goOn(t, pair);
  await plug(true);
  await both(pair, (node) => node.goes(RAILS));
  await goOn(t, pair);
}

/** All flows come, at both ends, and no connection broke. */
async function goOn(t: Test, pair: readonly RoutesNode[]): Promise<void> {
  await both(pair, (node) => node.flows());
  const came = new Set<string>();
  await until("all flows go on", async () => {
    for (const [i, { flows, ended }] of (await both(pair, (node) => node.flows())).entries()) {
      for (const [flow, one] of Object.entries(flows)) if (one.came > 0) came.add(`${i} ${flow}`);
      if (ended.length > 0) throw new Error(`connections broke at node ${i + 1}: ${ended}`);
    }
    return came.size;
  }, (count) => count === 4 * FEW, { everyMs: 500 }); // biome-ignore format: one call
  t.pass("all flows go on, and no connection broke");
}
