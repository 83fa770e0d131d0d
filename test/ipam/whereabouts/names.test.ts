import t from "tap";
import { locationOf, rangeOfName } from "../../../daemonset/addresses/record-location.ts";
import { networkText, toText } from "../../../ipam/address.ts";
import { cidrOfPool } from "../../../ipam/store/kubernetes/pool-span.ts";
import {
  expandedReservationName,
  ipOfReservation,
  poolName,
  rangeOfPool,
  requireObjectName,
  reservationName,
  slicePoolName,
} from "../../../ipam/whereabouts/names.ts";
import * as fc from "../../../lab/properties.ts";

/** IPPoolName() of pkg/storage/kubernetes/ipam_test.go, and names of IPPools that Whereabouts 0.9.4 made. */
for (const [network, node, cidr, name] of [
  ["", "", "10.0.0.0/8", "10.0.0.0-8"],
  ["test", "", "10.0.0.0/8", "test-10.0.0.0-8"],
  ["", "testnode", "10.0.0.0/8", "testnode-10.0.0.0-8"],
  ["testnetwork", "testnode", "10.0.0.0/8", "testnetwork-testnode-10.0.0.0-8"],
  ["", "", "2001::/116", "2001---116"],
  ["", "", "abcd::/64", "abcd---64"],
  ["", "", "fd00:0:0:10::/64", "fd00-0-0-10---64"],
  ["rail0", "node-a", "10.20.1.0/24", "rail0-node-a-10.20.1.0-24"],
] as const)
  t.test(`poolName() makes ${name}`, async (t) => t.equal(poolName(network, node, cidr), name));

for (const [network, ip, name, expanded] of [
  ["", "10.0.0.1", "10.0.0.1", "10.0.0.1"],
  ["rail0", "10.10.1.0", "rail0-10.10.1.0", "rail0-10.10.1.0"],
  ["", "fd00::1", "fd00--1", "fd00-0000-0000-0000-0000-0000-0000-0001"],
  ["", "fd00::", "fd00--0", "fd00-0000-0000-0000-0000-0000-0000-0000"],
  ["rail-0", "fd00::a:1", "rail-0-fd00--a-1", "rail-0-fd00-0000-0000-0000-0000-0000-000a-0001"],
] as const)
  t.test(`reservationName() makes ${name}, and ipOfReservation() reads it and ${expanded} back`, async (t) => {
    t.equal(reservationName(network, ip), name);
    t.equal(expandedReservationName(network, ip), expanded);
    t.equal(ipOfReservation(network, name), ip);
    t.equal(ipOfReservation(network, expanded), ip);
  });

for (const [network, name] of [
  ["", "rail0-10.0.0.1"],
  ["rail0", "10.0.0.1"],
  ["rail0", "rail1-10.0.0.1"],
  ["rail0", "rail0-x-10.0.0.1"],
  ["", "10.0.0"],
  ["", "fd00"],
  ["", ""],
] as const)
  t.test(
    `ipOfReservation() knows nothing of ${JSON.stringify(name)} in network ${JSON.stringify(network)}`,
    async (t) => {
      t.equal(ipOfReservation(network, name), undefined);
    },
  );

t.test("ipOfReservation() reads back every name, upstream's and the fork's", async () => {
  const group = fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn }));
  const value = fc
    .array(group, { minLength: 8, maxLength: 8 })
    .map((all) => all.reduce((sum, one) => (sum << 16n) | one));
  const address = fc.oneof(
    fc.record({ isV6: fc.constant(true), value: value.filter((all) => all >> 32n !== 0xffffn) }),
    fc.record({ isV6: fc.constant(false), value: fc.bigInt({ min: 0n, max: 0xffffffffn }) }),
  );
  fc.assert(
    fc.property(fc.constantFrom("", "rail0", "rail-0", "a.b"), address, (network, of) => {
      const ip = toText(of);
      const names = [reservationName(network, ip), expandedReservationName(network, ip)];
      return names.every((name) => ipOfReservation(network, name) === ip);
    }),
  );
});

t.test("slicePoolName() is network_name, else the network's name", async (t) => {
  t.equal(slicePoolName("rail0", "net"), "rail0");
  t.equal(slicePoolName("", "net"), "net");
});

for (const name of ["10.0.0.0-24", "a", "rail0-10.0.0.0-24", "a".repeat(253)])
  t.test(`requireObjectName() takes ${name.slice(0, 20)}`, async (t) => t.equal(requireObjectName(name, "x"), name));

for (const name of ["", "-a", "a-", "A", "a_b", "a..b", ".a", "a/b", "../x", "ü", "a\n", "a".repeat(254), "---126"])
  t.test(`requireObjectName() refuses ${JSON.stringify(name.slice(0, 20))}`, async (t) => {
    t.throws(() => requireObjectName(name, "ipam.x"), {
      code: 7,
      message: /^cannot use ipam.x: its object would be named/,
    });
  });

t.test("names of pools: all who read one read the range and the network that it was made of", async () => {
  const bits = fc.integer({ min: 8, max: 126 });
  const value = fc.bigInt({ min: 1n << 96n, max: (1n << 128n) - 1n });
  const range = fc.record({ isV6: fc.boolean(), value, bits }).map(({ isV6, value, bits }) => {
    const cidr = isV6 ? { isV6, value, prefixBits: bits } : { isV6, value: value >> 96n, prefixBits: 8 + (bits % 23) };
    return networkText(cidr);
  });
  // Not what looks like the first group of an address: Whereabouts' names do not tell it.
  const network = fc.constantFrom("", "rail0", "rail-0", "r.x", "net-10.0.0.0-8");
  const node = fc.constantFrom("", "node-a", "n.example.org", "node-1");
  fc.assert(
    fc.property(network, node, range, (network, node, range) => {
      const name = poolName(network, node, range);
      if (range.startsWith("::")) return true; // no name of an object
      const read = rangeOfPool(network, node, name);
      if (!read || networkText(read) !== range) return false;
      if (!node && cidrOfPool(network, name)?.span.first !== read.value) return false;
      const metadata = { name: "x", namespace: "", uid: "", resourceVersion: "" };
      const reserved = { metadata, podref: "", ifname: "", containerId: "", podUid: "", node, pool: name, network };
      if (rangeOfName(name, reserved) !== range) return false;
      const allocations = [{ nodeName: node, sliceRange: range }];
      const slices = node
        ? [{ metadata: { name: network || "net" }, spec: { range, sliceSize: "/24" }, status: { allocations } }]
        : [];
      const place = locationOf({ metadata: { name }, spec: { range, allocations: {} } }, slices);
      return place?.pool.network === network && place.pool.cidr === range;
    }),
    { numRuns: 500 },
  );
});
