import t from "tap";
import type { IpamHost } from "../../ipam/host.ts";
import { sliced } from "../../ipam/slice.ts";
import type { SlicedRange, Store } from "../../ipam/store/store.ts";
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
      message: `cannot give ${ip}, which the pod asks for: the slice of node node-a is 10.20.1.0/24, and ${why}; ask for another one, or run the pod where it lies`,
    });
  });
