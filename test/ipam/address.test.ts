import { isIPv4, isIPv6 as isNodeIPv6, SocketAddress } from "node:net";
import IPCIDR from "ip-cidr";
import t from "tap";
import { canonicalIp } from "../../cni/protocol/ip.ts";
import {
  findSpan,
  isInNetwork,
  mergeSpans,
  networkText,
  parseCidr,
  parseIp,
  spanOf,
  toNumber,
  toText,
} from "../../ipam/address.ts";
import * as fc from "../../lab/properties.ts";

const v4 = fc.bigInt({ min: 0n, max: (1n << 32n) - 1n });
/** Half of them with groups of zeros. */
const v6 = fc
  .tuple(
    fc.array(fc.oneof(fc.constant(0n), fc.bigInt({ min: 0n, max: 0xffffn })), { minLength: 8, maxLength: 8 }),
    fc.boolean(),
  )
  .map(([groups]) => groups.reduce((sum, group) => (sum << 16n) | group, 0n))
  .filter((value) => value >> 32n !== 0xffffn && value >> 32n !== 0n); // texts with IPv4 in them

t.test("toText() prints IPv4 as node:net does, and toNumber() reads it back", async () => {
  fc.assert(
    fc.property(v4, (value) => {
      const text = toText({ isV6: false, value });
      return isIPv4(text) && new SocketAddress({ address: text }).address === text && toNumber(text) === value;
    }),
  );
});

t.test("toText() prints IPv6 as node:net does, and toNumber() reads it back", async () => {
  fc.assert(
    fc.property(v6, (value) => {
      const text = toText({ isV6: true, value });
      const theirs = new SocketAddress({ address: text, family: "ipv6" }).address;
      return isNodeIPv6(text) && theirs === text && canonicalIp(text) === text && toNumber(text) === value;
    }),
  );
});

t.test("spanOf() agrees with ip-cidr on every network", async () => {
  const network = fc.oneof(
    fc.record({ isV6: fc.constant(false), value: v4, prefixBits: fc.integer({ min: 0, max: 32 }) }),
    fc.record({ isV6: fc.constant(true), value: v6, prefixBits: fc.integer({ min: 0, max: 128 }) }),
  );
  fc.assert(
    fc.property(network, (cidr) => {
      const theirs = new IPCIDR(`${toText(cidr)}/${cidr.prefixBits}`);
      const { first, last } = spanOf(cidr);
      return first === theirs.start({ type: "bigInteger" }) && last === theirs.end({ type: "bigInteger" });
    }),
  );
});

t.test("parseIp() takes exactly what node:net takes, but for zones and IPv4 in IPv6 clothes", async () => {
  const piece = fc.constantFrom(
    "",
    "::",
    ":",
    ".",
    "/",
    "0",
    "00",
    "1",
    "01",
    "255",
    "256",
    "a",
    "F",
    "ffff",
    "12345",
    "1.2.3.4",
  );
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((pieces) => pieces.join("")),
    fc.array(piece, { maxLength: 8 }).map((pieces) => pieces.join(":")),
    fc.array(piece, { maxLength: 5 }).map((pieces) => pieces.join(".")),
  );
  fc.assert(
    fc.property(text, (text) => {
      const theirs = isIPv4(text) || isNodeIPv6(text);
      const ours = parseIp(text);
      if (ours && ours.value >> 32n === 0xffffn) return false;
      return theirs ? ours !== undefined || isMapped(text) : ours === undefined;
    }),
    { numRuns: 5_000 },
  );
});

const isMapped = (text: string): boolean =>
  /^::ffff:/.test(new SocketAddress({ address: text, family: "ipv6" }).address);

/** Texts as Go 1.25 prints them. */
for (const [text, canonical] of [
  ["::1.2.3.4", "::102:304"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["1:0:2:0:3:0:4:0", "1:0:2:0:3:0:4:0"],
  ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
  ["2001:DB8:0:0::", "2001:db8::"],
  ["::", "::"],
] as const)
  t.test(`toText() prints ${text} as ${canonical}`, async (t) => t.equal(toText(parseIp(text)!), canonical));

for (const [text, strict, sloppy] of [
  ["010.0.0.1", undefined, "10.0.0.1"],
  ["00192.00168.1.5", undefined, "192.168.1.5"],
  ["0.0.0.0", "0.0.0.0", "0.0.0.0"],
  ["000.000.000.000", undefined, "0.0.0.0"],
  ["0256.1.1.1", undefined, undefined],
  ["0x10.0.0.1", undefined, undefined],
  ["2001:db8:480:603d:0304:0403:000:0000", "2001:db8:480:603d:304:403::", "2001:db8:480:603d:304:403::"],
  ["fd00::00001", undefined, "fd00::1"],
  ["fd00::10001", undefined, undefined],
  ["fe80::1%eth0", undefined, undefined],
  ["::ffff:10.0.0.1", undefined, undefined],
  ["", undefined, undefined],
] as const)
  t.test(`parseIp() reads ${JSON.stringify(text)} strictly as ${strict}, sloppily as ${sloppy}`, async (t) => {
    const [a, b] = [parseIp(text), parseIp(text, { sloppy: true })];
    t.equal(a && toText(a), strict);
    t.equal(b && toText(b), sloppy);
  });

for (const [text, network] of [
  ["10.10.3.7/16", "10.10.0.0/16"],
  ["10.10.3.7/016", "10.10.0.0/16"],
  ["2001:db8::7/64", "2001:db8::/64"],
  ["0.0.0.0/0", "0.0.0.0/0"],
  ["::/0", "::/0"],
  ["10.0.0.1/33", undefined],
  ["2001:db8::/129", undefined],
  ["10.0.0.1", undefined],
  ["10.0.0.1/", undefined],
  ["10.0.0.1/8/9", undefined],
  ["10.0.0.1/ 8", undefined],
  ["1:2.3.4.5/8", undefined],
  ["fe80::1%eth0/64", undefined],
] as const)
  t.test(`parseCidr() reads ${text} as of ${network}`, async (t) => {
    const cidr = parseCidr(text);
    t.equal(cidr && networkText(cidr), network);
  });

t.test("isInNetwork() agrees with ip-cidr", async () => {
  fc.assert(
    fc.property(v4, v4, fc.integer({ min: 0, max: 32 }), (base, other, prefixBits) => {
      const [ip, cidr] = [
        toText({ isV6: false, value: other }),
        `${toText({ isV6: false, value: base })}/${prefixBits}`,
      ];
      return isInNetwork(ip, cidr) === new IPCIDR(cidr).contains(ip);
    }),
  );
});

t.test("mergeSpans() and findSpan() hold exactly the addresses of the spans", async () => {
  const small = fc.bigInt({ min: 0n, max: 60n });
  const span = fc.tuple(small, small).map(([a, b]) => (a < b ? { first: a, last: b } : { first: b, last: a }));
  fc.assert(
    fc.property(fc.array(span, { maxLength: 8 }), small, (spans, value) => {
      const merged = mergeSpans(spans);
      const inOne = spans.some(({ first, last }) => value >= first && value <= last);
      const apart = merged.every((one, i) => i === 0 || one.first > merged[i - 1]!.last + 1n);
      return apart && (findSpan(merged, value) !== undefined) === inOne;
    }),
  );
});
