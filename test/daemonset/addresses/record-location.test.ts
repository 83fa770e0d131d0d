import t from "tap";
import { locationOf, rangeOfName } from "../../../daemonset/addresses/record-location.ts";
import type { Reserved } from "../../../daemonset/addresses/reserved.ts";
import type { NodeSlicePool } from "../../../ipam/whereabouts/objects.ts";
import * as fc from "../../../lab/properties.ts";

const slices: NodeSlicePool[] = [
  {
    metadata: { name: "rail1" },
    spec: { range: "10.20.0.0/16", sliceSize: "/24" },
    status: {
      allocations: [
        { nodeName: "node-a", sliceRange: "10.20.1.0/24" },
        { nodeName: "", sliceRange: "10.20.2.0/24" },
      ],
    },
  },
];

// Keys and names as Whereabouts 0.9.4 wrote them.
for (const { name, range, network, addresses = {} } of [
  { name: "rail0-10.10.0.0-16", range: "10.10.0.0/16", network: "rail0", addresses: { "256": "10.10.1.0" } },
  { name: "192.168.2.224-28", range: "192.168.2.224/28", network: "", addresses: { "1": "192.168.2.225" } },
  { name: "2001---116", range: "2001::/116", network: "", addresses: { "1": "2001::1" } },
  {
    name: "rail-x-fd00---64",
    range: "fd00::/64",
    network: "rail-x",
    addresses: { "9223372036854775807": "fd00::7fff:ffff:ffff:ffff" },
  },
  { name: "rail1-node-a-10.20.1.0-24", range: "10.20.1.0/24", network: "rail1", addresses: { "1": "10.20.1.1" } },
  { name: "node-a-10.20.1.0-24", range: "10.20.1.0/24", network: "", addresses: { "1": "10.20.1.1" } },
  { name: "10.10.0.0-16", range: "10.10.10.0/16", network: "", addresses: { "5": "10.10.10.5" } },
  { name: "rail0", range: "10.10.0.0/16", network: undefined },
  { name: "rail0-10.10.0.0-16", range: "nonsense", network: undefined },
] as { name: string; range: string; network?: string; addresses?: Record<string, string> }[])
  t.test(`locationOf() of ${name} with range ${range}`, async (t) => {
    const place = locationOf({ metadata: { name }, spec: { range, allocations: {} } }, slices);
    t.equal(place?.pool.network, network);
    for (const [key, ip] of Object.entries(addresses)) {
      t.equal(place?.keyOf(ip), key);
      t.equal(place?.ipOf(key), ip);
    }
  });

t.test("keyOf() and ipOf() have nothing for what does not read back", async (t) => {
  const v4 = locationOf({ metadata: { name: "10.10.0.0-16" }, spec: { range: "10.10.10.0/16", allocations: {} } }, [])!;
  for (const ip of ["10.11.0.0", "10.10.9.9", "fd00::1", "nonsense"]) t.equal(v4.keyOf(ip), undefined, ip);
  for (const key of ["abc", "-1", "1.5", "65536", "99999999999999999999"]) t.equal(v4.ipOf(key), undefined, key);
  const v6 = locationOf({ metadata: { name: "fd00---32" }, spec: { range: "fd00::/32", allocations: {} } }, [])!;
  t.equal(v6.keyOf("fd00::8000:0:0:0"), undefined, "Whereabouts removes such keys");
});

t.test("rangeOfName() is the reverse of the pool's name", async (t) => {
  const cidr = fc.oneof(
    fc.tuple(fc.ipV4(), fc.integer({ min: 1, max: 30 })).map(([ip, bits]) => `${ip}/${bits}`),
    fc.tuple(fc.ipV6(), fc.integer({ min: 1, max: 126 })).map(([ip, bits]) => `${ip}/${bits}`),
  );
  const texts = fc.constantFrom("", "rail0", "rail-0", "10", "a.b");
  const { networkText, parseCidr } = await import("../../../ipam/address.ts");
  const { poolName } = await import("../../../ipam/whereabouts/names.ts");
  fc.assert(
    fc.property(cidr, texts, fc.constantFrom("", "node-a"), (text, network, node) => {
      const range = networkText(parseCidr(text)!);
      const of: Reserved = {
        network,
        node,
        metadata: { name: "", namespace: "", uid: "", resourceVersion: "" },
        podref: "",
        ifname: "",
        containerId: "",
        podUid: "",
        pool: "",
      };
      const name = poolName(network, node, range);
      return rangeOfName(name, of) === range;
    }),
  );
  t.equal(rangeOfName("something", { network: "", node: "" } as Reserved), undefined);
});
