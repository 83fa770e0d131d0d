import t, { type Test } from "tap";
import { parseCidr, parseIp, toText } from "../../ipam/address.ts";
import { cidrOf, parseRange, RangeTextError, rangeFrom, rangeOf, whyUnusable } from "../../ipam/range.ts";
import { readingRange } from "../../ipam/whereabouts/failure.ts";

/** In the library's own words, and in Whereabouts'. */
function refuses(t: Test, read: () => unknown, own: RegExp, theirs: string): void {
  t.throws(read, { code: 7, message: own });
  t.ok(t.throws(read) instanceof RangeTextError);
  t.throws(() => readingRange(read), { code: 999, message: theirs });
  t.throws(() => readingRange(read, "x: "), { message: `x: ${theirs}` });
}

const ip = (text?: string) => (text === undefined ? undefined : parseIp(text)!);

function window(cidr: string, start?: string, end?: string): string {
  const { isV6, first, last } = rangeOf(parseCidr(cidr)!, { start: ip(start), end: ip(end) });
  return `${toText({ isV6, value: first })} - ${toText({ isV6, value: last })}`;
}

/** GetIPRange() of pkg/iphelpers/iphelpers_test.go. */
for (const { cidr, start, end, want } of [
  { cidr: "192.168.1.0/24", want: "192.168.1.1 - 192.168.1.254" },
  { cidr: "192.168.1.7/24", want: "192.168.1.1 - 192.168.1.254" },
  { cidr: "192.168.1.0/30", want: "192.168.1.1 - 192.168.1.2" },
  { cidr: "192.168.1.0/24", start: "192.168.1.10", end: "192.168.1.50", want: "192.168.1.10 - 192.168.1.50" },
  { cidr: "192.168.1.0/24", start: "192.168.1.50", end: "192.168.1.10", want: "192.168.1.50 - 192.168.1.254" },
  { cidr: "192.168.1.0/24", start: "192.168.1.10", end: "192.168.1.10", want: "192.168.1.10 - 192.168.1.10" },
  { cidr: "192.168.1.0/24", start: "192.168.1.0", end: "192.168.1.255", want: "192.168.1.1 - 192.168.1.254" },
  { cidr: "192.168.1.0/24", start: "192.168.2.1", end: "192.168.0.9", want: "192.168.1.1 - 192.168.1.254" },
  { cidr: "192.168.1.0/24", start: "fd00::1", want: "192.168.1.1 - 192.168.1.254" },
  { cidr: "2000::/64", want: "2000::1 - 2000::ffff:ffff:ffff:fffe" },
  { cidr: "2000::/64", start: "2000::10", end: "2000::50", want: "2000::10 - 2000::50" },
  { cidr: "2000::/64", start: "2000::50", end: "2000::10", want: "2000::50 - 2000::ffff:ffff:ffff:fffe" },
  { cidr: "2000::/126", want: "2000::1 - 2000::2" },
  { cidr: "::/0", want: "::1 - ffff:ffff:ffff:ffff:ffff:ffff:ffff:fffe" },
])
  t.test(`rangeOf() ${cidr} from ${start} to ${end} gives out ${want}`, async (t) =>
    t.equal(window(cidr, start, end), want),
  );

/** Printed by Go 1.25 for the same networks. */
for (const [cidr, net] of [
  ["10.0.0.1/31", "{10.0.0.0 fffffffe}"],
  ["10.0.0.1/32", "{10.0.0.1 ffffffff}"],
  ["2001:db8::/127", "{2001:db8:: fffffffffffffffffffffffffffffffe}"],
  ["fd00::1/128", "{fd00::1 ffffffffffffffffffffffffffffffff}"],
] as const)
  t.test(`rangeOf() refuses ${cidr}`, async (t) => {
    const message = `net mask is too short, subnet ${net} has no usable IP addresses, it is too small`;
    refuses(t, () => rangeOf(parseCidr(cidr)!), /^cannot use range .* there is none to give out$/, message);
  });

for (const text of ["192.168.0.1/123", "100::2::1", "10.0.0.010", "a", "10.0.0.1-10.0.0.5", "fe80::1%eth0"])
  t.test(`rangeOf() refuses the exclude ${text}`, async (t) => {
    const message = `could not parse exclude range, err: "invalid CIDR address: ${text}"`;
    refuses(
      t,
      () => rangeOf(parseCidr("10.0.0.0/24")!, { exclude: [text] }),
      /^cannot exclude ".*": want an address or network\/bits$/,
      message,
    );
  });

for (const { text, network, start, end } of [
  { text: "10.10.3.7/16", network: "10.10.3.7/16" },
  { text: "192.168.1.11-192.168.1.23/24", network: "192.168.1.23/24", start: "192.168.1.11", end: "192.168.1.23" },
  { text: "10.0.0.9-10.0.0.5/24", network: "10.0.0.5/24", start: "10.0.0.9", end: "10.0.0.5" },
  { text: "00192.00168.1.5-000000192.168.1.25/24", network: "192.168.1.25/24", start: "192.168.1.5", end: "192.168.1.25" },
  { text: "2001:db8:480:603d:0304:0403:000:0000-2001:db8:480:603d:0304:0403:0000:0004/64", network: "2001:db8:480:603d:304:403:0:4/64", start: "2001:db8:480:603d:304:403::", end: "2001:db8:480:603d:304:403:0:4" },
] as { text: string; network: string; start?: string; end?: string }[]) // biome-ignore format: rows
  t.test(`parseRange() reads ${text}`, async (t) => {
    const read = parseRange(text);
    t.same(read.network, parseCidr(network));
    t.equal(read.start && toText(read.start), start);
    t.equal(read.end && toText(read.end), end);
  });

/** Texts of pkg/config/config.go. */
for (const [text, message] of [
  ["asdf", "invalid CIDR asdf: invalid CIDR address: asdf"],
  ["", "invalid CIDR : invalid CIDR address: "],
  ["10.0.0.0", "invalid CIDR 10.0.0.0: invalid CIDR address: 10.0.0.0"],
  ["192.168.1.5-192.168.2.25/28", "invalid range start for CIDR 192.168.2.16/28: 192.168.1.5"],
  ["fd00::1-192.168.2.25/28", "invalid range start for CIDR 192.168.2.16/28: fd00::1"],
  ["x-192.168.2.25/28", "invalid range start IP: x"],
  ["10.0.0.1-10.0.0.9", "invalid CIDR (do you have the 'range' parameter set for Whereabouts?) '10.0.0.9': invalid CIDR address: 10.0.0.9"],
  ["10.0.0.1-10.0.0.5-10.0.0.9/24", "invalid CIDR (do you have the 'range' parameter set for Whereabouts?) '10.0.0.5-10.0.0.9/24': invalid CIDR address: 10.0.0.5-10.0.0.9/24"],
] as const) // biome-ignore format: rows
  t.test(
    `parseRange() refuses ${JSON.stringify(text)} in words of its own, which Whereabouts' can replace`,
    async (t) => {
      refuses(t, () => parseRange(text), /^cannot use .*(want|it is not in) /, message);
    },
  );

for (const [address, why] of [
  ["10.0.0.1", undefined],
  ["10.0.0.200", undefined],
  ["10.0.0.0", "it is the address of the network 10.0.0.0/24 itself"],
  ["10.0.0.255", "it is the broadcast address of 10.0.0.0/24"],
  ["10.0.1.1", "it is not in 10.0.0.0/24"],
  ["fd00::1", "it is not in 10.0.0.0/24"],
  ["10.0.0.17", "it is excluded from 10.0.0.0/24"],
] as const)
  t.test(`whyUnusable() says of ${address}: ${why}`, async (t) => {
    const range = rangeOf(parseCidr("10.0.0.0/24")!, { end: ip("10.0.0.100"), exclude: ["10.0.0.16/28"] });
    t.equal(cidrOf(range), "10.0.0.0/24");
    t.equal(whyUnusable(range, ip(address)!), why);
  });

for (const [text, want] of [
  ["10.0.0.0/24", "10.0.0.1 - 10.0.0.254"],
  ["10.0.0.10-10.0.0.19/24", "10.0.0.10 - 10.0.0.19"],
  ["fd00::a-fd00::f/64", "fd00::a - fd00::f"],
] as const)
  t.test(`rangeFrom() keeps the bounds of ${text}`, async (t) => {
    const { isV6, first, last } = rangeFrom(text);
    t.equal([first, last].map((value) => toText({ isV6, value })).join(" - "), want);
    t.equal(rangeFrom(text, { exclude: [toText({ isV6, value: first })] }).excluded.length, 1);
  });
