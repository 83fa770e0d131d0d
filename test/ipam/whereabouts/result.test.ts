import t from "tap";
import { formatResult } from "../../../cni/protocol/result.ts";
import { toText } from "../../../ipam/address.ts";
import { candidates } from "../../../ipam/allocate.ts";
import { toResult } from "../../../ipam/whereabouts/result.ts";
import { sliceRange } from "../../../ipam/whereabouts/slices.ts";
import { type Given, POD, read } from "./support.ts";

interface Golden extends Given {
  readonly when: string;
  readonly version: string;
  /** What Whereabouts 0.9.4 printed for the first pod of an empty cluster. */
  readonly result: object;
  readonly pools: readonly string[];
}

const GOLDEN: readonly Golden[] = [
  {
    when: "G1: excludes, 0.3.0",
    version: "0.3.0",
    ipam: { range: "192.168.2.225/28", exclude: ["192.168.2.229/30", "192.168.2.236/32"] },
    result: { cniVersion: "0.3.0", ips: [{ version: "4", address: "192.168.2.225/28" }], dns: {} },
    pools: ["192.168.2.224-28"],
  },
  {
    when: "G2: start and end, routes and DNS, 1.1.0",
    version: "1.1.0",
    ipam: {
      range: "192.168.1.11-192.168.1.23/24",
      gateway: "192.168.10.1",
      routes: [{ dst: "0.0.0.0/0" }, { dst: "10.0.0.0/8", gw: "192.168.1.254" }],
      dns: { nameservers: ["8.8.8.8"] },
    },
    result: {
      cniVersion: "1.1.0",
      dns: { nameservers: ["8.8.8.8"] },
      ips: [{ address: "192.168.1.11/24", gateway: "192.168.10.1" }],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "10.0.0.0/8", gw: "192.168.1.254" }],
    },
    pools: ["192.168.1.0-24"],
  },
  {
    when: "G2: an end before its start",
    version: "1.0.0",
    ipam: { range: "10.0.0.9-10.0.0.5/24" },
    result: { cniVersion: "1.0.0", ips: [{ address: "10.0.0.9/24" }] },
    pools: ["10.0.0.0-24"],
  },
  {
    when: "G3: IPv6, 0.4.0",
    version: "0.4.0",
    ipam: { range: "2001::0/116", gateway: "2001::f:1" },
    result: { cniVersion: "0.4.0", ips: [{ version: "6", address: "2001::1/116", gateway: "2001::f:1" }], dns: {} },
    pools: ["2001---116"],
  },
  {
    when: "G4: dual stack, one gateway for both, 1.0.0",
    version: "1.0.0",
    ipam: { ipRanges: [{ range: "192.168.10.1/24" }, { range: "abcd::1/64" }], gateway: "192.168.10.254" },
    result: {
      cniVersion: "1.0.0",
      ips: [
        { address: "192.168.10.1/24", gateway: "192.168.10.254" },
        { address: "abcd::1/64", gateway: "192.168.10.254" },
      ],
    },
    pools: ["192.168.10.0-24", "abcd---64"],
  },
  {
    when: "G5: range before ipRanges, 0.3.1",
    version: "0.3.1",
    ipam: { ipRanges: [{ range: "192.168.10.1/24" }], range: "abcd::1/64" },
    result: {
      cniVersion: "0.3.1",
      ips: [
        { version: "6", address: "abcd::1/64" },
        { version: "4", address: "192.168.10.1/24" },
      ],
      dns: {},
    },
    pools: ["abcd---64", "192.168.10.0-24"],
  },
  {
    when: "G5: range before ipRanges, 0.2.0",
    version: "0.2.0",
    ipam: { ipRanges: [{ range: "192.168.10.1/24" }], range: "abcd::1/64" },
    result: { cniVersion: "0.2.0", ip4: { ip: "192.168.10.1/24" }, ip6: { ip: "abcd::1/64" }, dns: {} },
    pools: ["abcd---64", "192.168.10.0-24"],
  },
  {
    when: "G8: network_name and bounds",
    version: "1.0.0",
    ipam: { range: "10.10.0.0/16", range_start: "10.10.1.0", range_end: "10.10.1.3", network_name: "rail0" },
    result: { cniVersion: "1.0.0", ips: [{ address: "10.10.1.0/16" }] },
    pools: ["rail0-10.10.0.0-16"],
  },
  {
    when: "G10: fixed addresses and CNI_ARGS behind the pool's",
    version: "1.0.0",
    args: `${POD};IP=172.16.5.5/24, 172.16.6.6/24;GATEWAY=172.16.5.1`,
    ipam: {
      range: "192.168.1.44/28",
      gateway: "192.168.1.1",
      addresses: [
        { address: "10.10.0.1/24", gateway: "10.10.0.254" },
        { address: "3ffe:ffff:0:01ff::1/64", gateway: "3ffe:ffff:0::1" },
      ],
    },
    result: {
      cniVersion: "1.0.0",
      ips: [
        { address: "192.168.1.33/28", gateway: "192.168.1.1" },
        { address: "10.10.0.1/24", gateway: "10.10.0.254" },
        { address: "3ffe:ffff:0:1ff::1/64", gateway: "3ffe:ffff::1" },
        { address: "172.16.5.5/24", gateway: "172.16.5.1" },
        { address: "172.16.6.6/24" },
      ],
    },
    pools: ["192.168.1.32-28"],
  },
  {
    when: "no range at all",
    version: "1.0.0",
    ipam: {},
    result: { cniVersion: "1.0.0" },
    pools: [],
  },
  {
    when: "zeros at the start of a range",
    version: "1.0.0",
    ipam: { range: "2001:db8:480:603d:0304:0403:000:0000-2001:db8:480:603d:0304:0403:0000:0004/64" },
    result: { cniVersion: "1.0.0", ips: [{ address: "2001:db8:480:603d:304:403::/64" }] },
    pools: ["2001-db8-480-603d---64"],
  },
  {
    when: "a start that is the network itself",
    version: "1.0.0",
    ipam: { range: "2001:db8:5422:0005::-2001:db8:5422:0005:7fff:ffff:ffff:ffff/64" },
    result: { cniVersion: "1.0.0", ips: [{ address: "2001:db8:5422:5::1/64" }] },
    pools: ["2001-db8-5422-5---64"],
  },
  {
    when: "names of DNS-1123",
    version: "1.0.0",
    ipam: { range: "fd00:0:0:10:0:0:3:1-fd00:0:0:10:0:0:3:6/64" },
    result: { cniVersion: "1.0.0", ips: [{ address: "fd00::10:0:0:3:1/64" }] },
    pools: ["fd00-0-0-10---64"],
  },
];

for (const { when, result, pools, ...given } of GOLDEN)
  t.test(`toResult() prints what Whereabouts does: ${when}`, async (t) => {
    const config = read(given);
    const ips = config.ranges.map(({ range }) => {
      const { value } = candidates(range, () => false).next();
      return toText({ isV6: range.isV6, value: value as bigint });
    });
    t.same(JSON.parse(JSON.stringify(formatResult(toResult(config, ips), given.version))), result);
    t.same(
      config.ranges.map(({ pool }) => pool.name),
      pools,
    );
  });

t.test("G9: sliceRange() has the slice's pool, bounds and excludes, and the whole range's mask", async (t) => {
  const config = read({
    ipam: {
      range: "10.20.0.0/16",
      node_slice_size: "/24",
      network_name: "rail0",
      exclude: ["10.20.1.9/32"],
      range_start: "10.20.1.9",
    },
  });
  t.same(config.slices, { name: "rail0", sliceSize: "/24" });
  const { pool, range } = sliceRange(config.ranges[0]!, "10.20.1.0/24", "node-a");
  t.same(pool, { name: "rail0-node-a-10.20.1.0-24", cidr: "10.20.1.0/24", network: "rail0", overlapping: true });
  t.equal(toText({ isV6: false, value: candidates(range, () => false).next().value as bigint }), "10.20.1.10");
  t.same(toResult(config, ["10.20.1.10"]).ips, [{ address: "10.20.1.10/16" }]);
});
