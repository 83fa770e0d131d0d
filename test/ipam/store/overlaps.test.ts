import t from "tap";
import { Overlaps } from "../../../ipam/store/kubernetes/overlaps.ts";
import { Pools } from "../../../ipam/store/kubernetes/pools.ts";
import type { Cluster } from "../../../kubernetes/cluster.ts";

const overlapsOf = (...names: readonly string[]) => {
  const cluster = {
    list: async () => ({ items: names.map((name) => ({ metadata: { name } })), resourceVersion: "1" }),
  };
  return new Overlaps(cluster as unknown as Cluster, new Pools(cluster as never, (() => "absent") as never), () => 0);
};
const pool = { name: "rail0-10.0.0.0-24", cidr: "10.0.0.0/24", network: "rail0", overlapping: true };

for (const { others, is } of [
  { others: [], is: true },
  { others: ["rail0-10.0.1.0-24", "rail1-10.0.0.0-24", "10.0.0.0-24"], is: true },
  { others: ["rail0-10.0.0.128-25"], is: false },
  { others: ["rail0-10.0.0.0-16"], is: false },
  { others: ["rail0-fd00---64"], is: true },
  { others: ["rail0-node-a-10.0.0.0-26"], is: false },
])
  t.test(`Overlaps.isAlone() is ${is} beside ${others.join(", ") || "nobody"}`, async (t) => {
    t.equal(await overlapsOf(pool.name, ...others).isAlone(pool), is);
  });
