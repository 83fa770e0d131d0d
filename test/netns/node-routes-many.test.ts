// A thousand peers that come at once: all of them are addresses of one other namespace.

import { readFileSync } from "node:fs";
import t from "tap";
import { Mesh, type MeshNode } from "../../lab/netns/mesh.ts";
import { pause } from "../../lab/netns/run.ts";
import { until } from "../../lab/until.ts";

const PEERS = 999;
const RAILS = [1, 2, 3, 4];
const ALL = ["r1", "r2", "r3", "r4"];
/** A thousand routes take ip(8) its time. */
const SELDOM = { everyMs: 500 };
const mac = (k: number) => `02:00:00:00:ff:0${k}`;
const host = (i: number) => `${1 + (i >> 8)}.${i & 255}`;
const each = Array.from({ length: PEERS }, (_, i) => i);

const mesh = await Mesh.create(1);
t.teardown(() => mesh.close());
const [a] = mesh.nodes as [MeshNode];
await a.netns.batch(["addr add 10.99.0.1/16 dev eth0"]);
await mesh.switches.batch(
  [0, ...RAILS].flatMap((k) => [
    `link set br${k} address ${mac(k)}`,
    ...each.map((i) => `addr add ${k === 0 ? "10.99" : `10.${k}`}.${host(i)}/${i === 0 ? 16 : 32} dev br${k}`),
  ]),
);
await mesh.switches.exec("sh", "-c", "for i in all br0 br1 br2 br3 br4; do echo 0 > /proc/sys/net/ipv4/conf/$i/rp_filter; echo 1 > /proc/sys/net/ipv4/conf/$i/arp_ignore; done"); // biome-ignore format: one row
const peers = each.map((i) => ({
  apiVersion: "railnet.io/v1alpha1",
  kind: "RailPeer",
  metadata: { name: `peer-${i}` },
  spec: {
    primary: `10.99.${host(i)}`,
    rails: RAILS.map((k) => ({ name: `rail${k}`, address: `10.${k}.${host(i)}/16`, mac: mac(k), mtu: 1500 })),
  },
}));

/** Next hops of our routes by rail. */
async function hops(): Promise<Record<string, number>> {
  const all = (await a.netns.show("route", "show", "protocol", "94")) as {
    dev?: string;
    nexthops?: { dev: string }[];
  }[];
  const counts: Record<string, number> = { r1: 0, r2: 0, r3: 0, r4: 0 };
  for (const { dev = "", nexthops = [{ dev }] } of all) for (const hop of nexthops) counts[hop.dev]!++;
  return counts;
}

/** Nearly all peers by these rails, and none by others: where a processor is wanted by many, an answer now and then is late. */
const goByRails = (rails: readonly string[]) =>
  until(`all by ${rails}`, hops, (counts) => Object.entries(counts).every(([rail, n]) => rails.includes(rail) ? n > PEERS * 0.9 : n === 0), SELDOM); // biome-ignore format: one row

t.test(
  "all are reached by all rails; a switch that is silent takes its rail from all, and gives it back",
  async (t) => {
    a.start();
    await a.follow(peers as Parameters<typeof a.follow>[0]);
    await goByRails(ALL);
    const before = cpuTicks(a);
    await pause(5_000);
    const [user, system] = cpuTicks(a).map((ticks, i) => ((ticks - before[i]!) / 5).toFixed(1));
    t.comment(`${user} % of a processor for itself, ${system} % in the kernel, which is both ends'; ${rssMb(a)} MB`);
    await mesh.silence(1, 2, false);
    await goByRails(["r1", "r3", "r4"]);
    await mesh.silence(1, 2, true);
    await goByRails(ALL);
    t.match(await a.report(), { refused: [], off: "" });
  },
);

/** Hundredths of a second: for itself, and in the kernel. */
function cpuTicks({ pid }: MeshNode): [user: number, system: number] {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return [Number(fields[11]), Number(fields[12])];
}

const rssMb = (node: MeshNode): number =>
  Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${node.pid}/status`, "utf8"))![1]) / 1024);
