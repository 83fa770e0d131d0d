import t from "tap";
import { locationOf } from "../../../daemonset/addresses/record-location.ts";
import { parseCidr, spanOf, toNumber, toText } from "../../../ipam/address.ts";
import { PoolView } from "../../../ipam/store/kubernetes/pool-view.ts";
import { poolName } from "../../../ipam/whereabouts/names.ts";
import type { IpPool } from "../../../ipam/whereabouts/objects.ts";
import { addressOf, baseOf, isKey, keyOf, MAX_OFFSET, readableKeyOf } from "../../../ipam/whereabouts/record-keys.ts";
import * as fc from "../../../lab/properties.ts";

/** IPGetOffset() of pkg/iphelpers/iphelpers_test.go. */
for (const { base, ip, key } of [
  { base: "192.168.2.1", ip: "192.168.3.0", key: "255" },
  { base: "192.168.3.0", ip: "192.168.2.1", key: "255" },
  { base: "ff02::1", ip: "ff02::1:0", key: "65535" },
  { base: "10.10.10.0", ip: "10.10.10.7", key: "7" },
  { base: "fd00::", ip: "fd00::7fff:ffff:ffff:ffff", key: "9223372036854775807" },
])
  t.test(`keyOf() counts ${ip} from ${base} as ${key}`, async (t) => t.equal(keyOf(toNumber(base), toNumber(ip)), key));

t.test("keyOf() refuses what Whereabouts could not read", async (t) => {
  t.throws(() => keyOf(toNumber("fd00::"), toNumber("fd00::8000:0:0:0")), {
    code: 7,
    message: /9223372036854775808 after/,
  });
});

t.test("addressOf() gives back what keyOf() was given", async () => {
  const behind = fc.bigInt({ min: 0n, max: MAX_OFFSET });
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: (1n << 127n) - 1n }),
      behind,
      (base, n) => addressOf({ isV6: true, base }, keyOf(base, base + n)) === base + n,
    ),
  );
});

t.test("baseOf() keeps host bits: keys count from the literal address", async (t) => {
  const pool = baseOf("10.10.10.0/16");
  t.equal(keyOf(pool.base, toNumber("10.10.11.1")), "257");
  t.equal(addressOf(pool, "257"), toNumber("10.10.11.1"));
  t.throws(() => baseOf("10.10.10.0"), { code: 7, message: /spec.range "10.10.10.0"/ });
});

for (const key of ["abc", "", "-1", "1.5", "0x1", "4294967295", "9223372036854775808", "18446463705355360228"])
  t.test(`addressOf() knows no address for the key ${JSON.stringify(key)}`, async (t) => {
    t.equal(addressOf(baseOf("10.10.0.0/16"), key), undefined);
  });

for (const [key, last] of [
  ["7", 7n],
  ["007", 7n],
  ["0", 0n],
  ["00", 0n],
] as const)
  t.test(`addressOf() reads the key ${key} as Whereabouts' ParseInt() does`, async (t) => {
    t.equal(addressOf(baseOf("10.10.0.0/16"), key), 0x0a0a0000n + last);
  });

/** A pool of any range, host bits included. */
const poolObject = fc
  .record({
    isV6: fc.boolean(),
    value: fc.bigInt({ min: 1n, max: (1n << 128n) - 1n }),
    bits: fc.integer({ min: 8, max: 126 }),
  })
  .map(({ isV6, value, bits }): IpPool => {
    const range = isV6
      ? `${toText({ isV6, value })}/${bits}`
      : `${toText({ isV6, value: value & 0xffffffffn })}/${8 + (bits % 23)}`;
    return { metadata: { name: poolName("n", "", range) }, spec: { range, allocations: {} } };
  });
const key = fc.oneof(
  fc.bigInt({ min: 0n, max: 300n }).map(String),
  fc.bigInt({ min: 0n, max: MAX_OFFSET + 2n }).map(String),
  fc.constantFrom("007", "x", "", "-1", "+1", "1e3"),
);

t.test(
  "keys: the store and the agent read each as one address, and write each address as one that they read",
  async () => {
    fc.assert(
      fc.property(poolObject, key, (object, text) => {
        const place = locationOf(object, []);
        const cidr = parseCidr(object.spec.range)!;
        const pool = { name: object.metadata.name, cidr: object.spec.range, network: "n", overlapping: true };
        const view = new PoolView(pool, object);
        const ip = place?.ipOf(text);
        if (place === undefined) return true; // no name tells this network
        if (!isKey(text)) return ip === undefined && view.ipOf(text) === undefined;
        if (ip === undefined) return true; // out of the range
        const again = place.keyOf(ip);
        const inStore = view.keyOf(ip);
        const { first, last } = spanOf(cidr);
        return (
          ip === view.ipOf(text) &&
          again === String(BigInt(text)) &&
          inStore === again &&
          readableKeyOf(baseOf(object.spec.range), toNumber(ip)) === again &&
          toNumber(ip) >= first &&
          toNumber(ip) <= last
        );
      }),
      { numRuns: 500 },
    );
  },
);

t.test("PoolView has a record under the key 007 as that of address 7, and changes it there", async (t) => {
  const record = { id: "c", ifname: "net1", podref: "team/p" };
  const pool = { name: "n-10.0.0.0-24", cidr: "10.0.0.0/24", network: "n", overlapping: true };
  const object = (allocations: IpPool["spec"]["allocations"]): IpPool => ({
    metadata: { name: pool.name },
    spec: { range: pool.cidr, allocations },
  });
  const view = new PoolView(pool, object({ "007": record }));
  t.ok(view.taken("lowest").has(0x0a000007n));
  t.equal(view.keyOf("10.0.0.7"), "007");
  view.setRecord("007", { ...record, id: "d" });
  t.equal(view.record("007")?.id, "d");
  view.update(object({ 7: record, "007": { ...record, id: "x" } }));
  t.same([view.keyOf("10.0.0.7"), view.record("7")?.id], ["7", "c"], "Whereabouts' own comes first");
});
