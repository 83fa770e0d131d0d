import { createHash } from "node:crypto";
import type { ClusterNode } from "../../lab/cluster/cluster-node.ts";
import type { Place } from "./place.ts";
import { type Storm, storm } from "./storm.ts";

const id = (text: string) => createHash("sha256").update(text).digest("hex");

function config(range: string) {
  return { cniVersion: "1.0.0", name: "bench", type: "macvlan", ipam: { type: "railnet-ipam", range } };
}

export async function ours(
  place: Place,
  adds: number,
  atOnce: number,
  range: string,
  withView: boolean,
): Promise<Storm> {
  const nodeOf = (i: number): ClusterNode => place.nodes[i % place.nodes.length]!;
  const add = async (i: number) => {
    const sandbox = {
      id: id(`${range}-${i}`),
      pod: `job-${i}`,
      namespace: "team-a",
      uid: `00000000-0000-4000-8000-${String(i).padStart(12, "0")}`,
    };
    const { exit, json } = await nodeOf(i).call("ADD", config(range), sandbox);
    return { ok: exit === 0, ip: json?.ips?.[0]?.address };
  };
  const complete = async () => {
    const pool = (await place.pools()).find(({ metadata }) => metadata.name === range.replace("/", "-"));
    return Object.keys(pool?.spec.allocations ?? {}).length === adds;
  };
  return await storm(place, adds, atOnce, add, withView ? complete : undefined);
}

export async function whereabouts(place: Place, adds: number, atOnce: number): Promise<Storm> {
  const wanted = place.whereabouts.config({ range: "10.4.0.0/16" });
  return await storm(place, adds, atOnce, async (i) => {
    const sandbox = { id: id(`wb-${i}`), pod: `job-${i}`, namespace: "team-a" };
    const { exit, json } = await place.whereabouts.call("ADD", wanted, sandbox, 240_000);
    return { ok: exit === 0, ip: json?.ips?.[0]?.address };
  });
}

export interface Singles {
  readonly add: { readonly railnet: number[]; readonly peer: number[] };
  readonly del: { readonly railnet: number[]; readonly peer: number[] };
}

/** Ours through the agent, theirs as a process, as runtimes call them; one of each in turn. */
export async function singles(place: Place, rounds: number): Promise<Singles> {
  const node = place.nodes[0]!;
  const theirs = place.whereabouts.config({ range: "10.1.0.0/24" });
  const mine = config("10.5.0.0/24");
  const result: Singles = { add: { railnet: [], peer: [] }, del: { railnet: [], peer: [] } };
  const timed = async (into: number[], call: () => Promise<{ exit: number | null }>) => {
    const begin = performance.now();
    const { exit } = await call();
    if (exit !== 0) throw new Error("a single call failed");
    into.push(performance.now() - begin);
  };
  for (let i = -1; i < rounds; i++) {
    const sandbox = { id: id(`single-${i}`), pod: `single-${i}` };
    const into = i < 0 ? { add: { railnet: [], peer: [] }, del: { railnet: [], peer: [] } } : result;
    await timed(into.add.railnet, () => node.call("ADD", mine, sandbox));
    await timed(into.add.peer, () => place.whereabouts.call("ADD", theirs, sandbox));
    await timed(into.del.railnet, () => node.call("DEL", mine, sandbox));
    await timed(into.del.peer, () => place.whereabouts.call("DEL", theirs, sandbox));
  }
  return result;
}
