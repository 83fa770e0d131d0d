import t from "tap";
import { parseCidr, toText } from "../../ipam/address.ts";
import { candidates } from "../../ipam/allocate.ts";
import type { IpamHost } from "../../ipam/host.ts";
import { sliced } from "../../ipam/slice.ts";
import type { SlicedRange, Store } from "../../ipam/store/store.ts";
import { baseOf, keyOf } from "../../ipam/whereabouts/record-keys.ts";
import { assignSlices, type NodeSlice, sliceOfNode } from "../../ipam/whereabouts/slice-nodes.ts";
import { read } from "./whereabouts/support.ts";

const store = {
  slice: async ({ name, network, cidr, sliceSize }: SlicedRange, node: string) =>
    `${network} ${cidr} ${sliceSize}` === "rail0 10.20.0.0/16 24" && name === "rail0" && node === "node-a"
      ? "10.20.1.0/24"
      : "10.20.0.0/24",
} as Partial<Store> as Store;
const host = { node: "node-a", signal: new AbortController().signal } as IpamHost;

const ipam = {
  range: "10.20.0.0/16",
  ipRanges: [{ range: "fd00::/64" }],
  network_name: "rail0",
  node_slice_size: "24",
};
const pools = async (given: object) =>
  (await sliced(read(given), store, host)).map(({ pool }) => [pool.name, pool.cidr]);

t.test("sliced() cuts the first range alone", async (t) => {
  t.same(await pools({ ipam }), [
    ["rail0-node-a-10.20.1.0-24", "10.20.1.0/24"],
    ["rail0-fd00---64", "fd00::/64"],
  ]);
});

t.test("sliced() leaves a network without slices as it is", async (t) => {
  t.same(await pools({ ipam: { ...ipam, node_slice_size: "" } }), [
    ["rail0-10.20.0.0-16", "10.20.0.0/16"],
    ["rail0-fd00---64", "fd00::/64"],
  ]);
});

t.test("sliced() takes an address that the pod asks for in its slice and in other ranges", async (t) => {
  t.same((await pools({ ipam, rest: { runtimeConfig: { ips: ["10.20.1.5", "fd00::5"] } } })).length, 2);
});

for (const [ip, why] of [
  ["10.20.7.5", "it is not in 10.20.1.0/24"],
  ["10.20.1.255", "it is the broadcast address of 10.20.1.0/24"],
] as const)
  t.test(`sliced() refuses ${ip}, which the pod asks for`, async (t) => {
    await t.rejects(pools({ ipam, rest: { runtimeConfig: { ips: [ip] } } }), {
      code: 7,
      message: `cannot give ${ip}, which the pod asks for: the slice of node node-a is 10.20.1.0/24, and ${why}; ask for another one, or run the pod on that node`,
    });
  });

/** Gives nodes their slices as the cluster's store does, one after the other. */
function slicing(): Store {
  let before: readonly NodeSlice[] = [];
  return {
    async slice({ cidr, sliceSize, range }: SlicedRange, node: string) {
      const { allocations } = assignSlices({ range, cidr, sliceSize, before, nodes: [node], isInUse: () => true });
      before = allocations;
      return sliceOfNode(allocations, node, range) ?? Promise.reject(new Error(`no slice for ${node}`));
    },
  } as Partial<Store> as Store;
}

const NODES = ["node-a", "node-b", "node-c", "node-d"];
for (const { range, size, rest = {}, want } of [
  { range: "10.20.0.0/16", size: "/24", want: ["10.20.0.1", "10.20.1.1", "10.20.2.1", "10.20.3.1"] },
  { range: "fd20::/48", size: "/64", want: ["fd20::1", "fd20:0:0:1::1", "fd20:0:0:2::1", "fd20:0:0:3::1"] },
  { range: "fd20::/32", size: "/64", want: ["fd20::1", "fd20:0:0:1::1", "fd20:0:0:2::1", "fd20:0:0:3::1"] },
  { range: "fd20::/48", size: "/60", want: ["fd20::1", "fd20:0:0:10::1", "fd20:0:0:20::1", "fd20:0:0:30::1"] },
  { range: "fd20::/56", size: "/120", want: ["fd20::1", "fd20::101", "fd20::201", "fd20::301"] },
  { range: "fd20::/48", size: "/64", rest: { range_start: "fd20:0:0:8000::" }, want: ["fd20:0:0:8000::1", "fd20:0:0:8001::1", "fd20:0:0:8002::1", "fd20:0:0:8003::1"] },
  { range: "fd20::/40", size: "/64", rest: { exclude: ["fd20::/41"] }, want: ["fd20:0:80::1", "fd20:0:80:1::1", "fd20:0:80:2::1", "fd20:0:80:3::1"] },
  { range: "fd20::/48", size: "/64", rest: { exclude: ["fd20:0:0:1::/64"] }, want: ["fd20::1", "fd20:0:0:2::1", "fd20:0:0:3::1", "fd20:0:0:4::1"] },
] as { range: string; size: string; rest?: object; want: string[] }[]) // biome-ignore format: rows
  t.test(
    `sliced() gives each of several nodes a slice of ${range} by ${size} ${JSON.stringify(rest)}, all with keys`,
    async (t) => {
      const ipam = { range, node_slice_size: size, ...rest };
      const cluster = slicing();
      const first: string[] = [];
      for (const name of NODES) {
        const [own] = await sliced(read({ ipam }), cluster, { ...host, node: name });
        const { pool, range: slice } = own!;
        first.push(toText({ isV6: slice.isV6, value: candidates(slice, () => false).next().value as bigint }));
        const { base } = baseOf(pool.cidr);
        t.equal(base, parseCidr(pool.cidr)!.value, "keys count from the slice's base");
        for (const end of [slice.first, slice.last]) t.equal(base + BigInt(keyOf(base, end)), end);
      }
      t.same(first, want);
    },
  );
